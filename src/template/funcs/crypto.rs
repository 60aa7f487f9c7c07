//! Digests, passwords, keys and certificates. All random comes from the context.

use std::any::Any;
use std::net::IpAddr;

use aes::Aes256;
use cbc::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _, block_padding::NoPadding};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};

use super::convert::{argument, bytes, integer, text};
use super::random::{self, Source};
use super::{Failure, INT, LIST, STRING};
use crate::template::certificate::{self, Issuer, Key, Wanted};
use crate::template::exec::State;
use crate::template::time::{Time, Zone};
use crate::template::value::{Named, Object, Type, Under, Value};
use crate::template::{der, format};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "crypto";
    "adler32sum"(STRING) = |_, a| Ok(adler2::adler32_slice(bytes(a, 0)).to_string().into()), "The Adler-32 checksum, in decimal.";
    "bcrypt"(STRING) = |state, a| Ok(bcrypt(state, bytes(a, 0)).into()), "The bcrypt hash of a password.";
    "buildCustomCert"(STRING, STRING) = build_custom_cert, "A certificate from certificate and key in base 64 of PEM.";
    "decryptAES"(STRING, STRING) = decrypt_aes, "Decrypts what `encryptAES` made: password, text.";
    "derivePassword"(Type::Uint32, STRING, STRING, STRING, STRING) = derive_password, "The Master Password of a site: counter, type, password, user, site.";
    "encryptAES"(STRING, STRING) = encrypt_aes, "Encrypts with AES-256-CBC: password, text.";
    "genCA"(STRING, INT) = |state, a| authority(state, a, None), "A certificate authority: name, days.";
    "genCAWithKey"(STRING, INT, STRING) = |state, a| authority(state, a, Some(2)), "As `genCA`, with a key as PEM.";
    "genPrivateKey"(STRING) = gen_private_key, "A private key as PEM: `rsa`, `dsa`, `ecdsa` or `ed25519`.";
    "genSelfSignedCert"(STRING, LIST, LIST, INT) = |state, a| self_signed(state, a, None), "A certificate signed by itself: name, addresses, names, days.";
    "genSelfSignedCertWithKey"(STRING, LIST, LIST, INT, STRING) = |state, a| self_signed(state, a, Some(4)), "As `genSelfSignedCert`, with a key as PEM.";
    "genSignedCert"(STRING, LIST, LIST, INT, CERTIFICATE) = |state, a| signed(state, a, None), "A certificate signed by an authority, the fifth argument.";
    "genSignedCertWithKey"(STRING, LIST, LIST, INT, CERTIFICATE, STRING) = |state, a| signed(state, a, Some(5)), "As `genSignedCert`, with a key as PEM.";
    "htpasswd"(STRING, STRING) = htpasswd, "A line of a password file: user, password.";
    "randAlpha"(INT) = |state, a| drawn(state, a, &|c| c.is_ascii_alphabetic()), "Random letters.";
    "randAlphaNum"(INT) = |state, a| drawn(state, a, &|c| c.is_ascii_alphanumeric()), "Random letters and digits.";
    "randAscii"(INT) = |state, a| drawn(state, a, &|_| true), "Random printable characters of ASCII.";
    "randBytes"(INT) = rand_bytes, "Random bytes in base 64.";
    "randNumeric"(INT) = |state, a| drawn(state, a, &|c| c.is_ascii_digit()), "Random digits.";
    "sha1sum"(STRING) = |_, a| Ok(hex::encode(sha1::Sha1::digest(bytes(a, 0))).into()), "The SHA-1 digest.";
    "sha256sum"(STRING) = |_, a| Ok(hex::encode(Sha256::digest(bytes(a, 0))).into()), "The SHA-256 digest.";
    "sha512sum"(STRING) = |_, a| Ok(hex::encode(Sha512::digest(bytes(a, 0))).into()), "The SHA-512 digest.";
    "uuidv4"() = uuid, "A random UUID.";
}

/// Rounds of bcrypt, as a power of two.
const BCRYPT_COST: u32 = 10;
/// Bytes of a password that bcrypt can take.
const BCRYPT_LIMIT: usize = 72;

fn bcrypt(state: &mut State<'_>, password: &[u8]) -> String {
    let failed = |why: &str| format!("failed to encrypt string with bcrypt: {why}");
    if password.len() > BCRYPT_LIMIT {
        return failed("bcrypt: password length exceeds 72 bytes");
    }
    let mut salt = [0; 16];
    random::fill(state, &mut salt);
    match bcrypt::hash_with_salt(password, BCRYPT_COST, salt) {
        Ok(parts) => parts.format_for_version(bcrypt::Version::TwoA),
        Err(error) => failed(&error.to_string()),
    }
}

fn htpasswd(state: &mut State<'_>, a: &[Value]) -> Result {
    let user = text(a, 0);
    if user.contains(':') {
        return Ok(format!("invalid username: {user}").into());
    }
    Ok(format!("{user}:{}", bcrypt(state, bytes(a, 1))).into())
}

/// Characters drawn one by one from those that pass a test.
fn drawn(state: &mut State<'_>, a: &[Value], test: &dyn Fn(char) -> bool) -> Result {
    let letters: Vec<char> = (' '..='~').filter(|c| test(*c)).collect();
    // Go drops the error that a negative count is.
    let count = usize::try_from(integer(a, 0)).unwrap_or(0);
    super::strings::bounded("this many random characters", Some(count))?;
    let mut out = String::with_capacity(count);
    for _ in 0..count {
        out.push(letters[random::below(state, letters.len() as u64) as usize]);
    }
    Ok(out.into())
}

fn rand_bytes(state: &mut State<'_>, a: &[Value]) -> Result {
    let Ok(count) = usize::try_from(integer(a, 0)) else {
        return Err(Failure::new("runtime error: makeslice: len out of range"));
    };
    super::strings::bounded("randBytes", Some(count))?;
    let mut drawn = vec![0; count];
    random::fill(state, &mut drawn);
    Ok(STANDARD.encode(drawn).into())
}

fn uuid(state: &mut State<'_>, _: &[Value]) -> Result {
    let mut drawn = [0; 16];
    random::fill(state, &mut drawn);
    Ok(uuid::Builder::from_random_bytes(drawn).into_uuid().to_string().into())
}

/// The templates of the Master Password algorithm: each letter names a class of characters.
fn password_templates(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn password_characters(class: char) -> &'static [u8] {
    match class {
        'V' => b"AEIOU",
        'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        'v' => b"aeiou",
        'c' => b"bcdfghjklmnpqrstvwxyz",
        'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        'n' => b"0123456789",
        'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn derive_password(_: &mut State<'_>, a: &[Value]) -> Result {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let kind = text(a, 1);
    let Some(templates) = password_templates(&kind) else {
        return Ok(format!("cannot find password template {kind}").into());
    };
    let (password, user, site) = (bytes(a, 2), bytes(a, 3), bytes(a, 4));
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("failed to derive password: {error}"));
    let salt = [SEED, &(user.len() as u32).to_be_bytes(), user].concat();
    let mut key = [0; 64];
    let cost = scrypt::Params::new(15, 8, 2, key.len()).map_err(|error| failed(&error))?;
    scrypt::scrypt(password, &salt, &cost, &mut key).map_err(|error| failed(&error))?;
    let counter = integer(a, 0) as u32;
    let message = [SEED, &(site.len() as u32).to_be_bytes(), site, &counter.to_be_bytes()].concat();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| failed(&error))?;
    mac.update(&message);
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let characters = template.chars().zip(&seed[1..]).map(|(class, number)| {
        let characters = password_characters(class);
        char::from(characters[usize::from(*number) % characters.len()])
    });
    Ok(characters.collect::<String>().into())
}

/// A password as a key: cut off or filled with zeros.
fn aes_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    key
}

fn encrypt_aes(state: &mut State<'_>, a: &[Value]) -> Result {
    let plain = bytes(a, 1);
    if plain.is_empty() {
        return Ok("".into());
    }
    let mut vector = [0; 16];
    random::fill(state, &mut vector);
    let padding = 16 - plain.len() % 16;
    let mut out = vector.to_vec();
    out.extend_from_slice(plain);
    out.resize(out.len() + padding, padding as u8);
    let length = out.len() - 16;
    let cipher = cbc::Encryptor::<Aes256>::new(&aes_key(bytes(a, 0)).into(), &vector.into());
    cipher.encrypt_padded_mut::<NoPadding>(&mut out[16..], length).map_err(|error| Failure::new(error.to_string()))?;
    Ok(STANDARD.encode(out).into())
}

fn decrypt_aes(_: &mut State<'_>, a: &[Value]) -> Result {
    let encoded = bytes(a, 1);
    if encoded.is_empty() {
        return Ok("".into());
    }
    let mut data = super::encoding::decode_base64(encoded)?;
    // What follows are Go's own words where it runs over the end of its slices.
    if data.len() < 16 {
        let capacity = encoded.len() / 4 * 3;
        return Err(Failure::new(if capacity < 16 {
            format!("runtime error: slice bounds out of range [:16] with capacity {capacity}")
        } else {
            format!("runtime error: slice bounds out of range [16:{}]", data.len())
        }));
    }
    if !data.len().is_multiple_of(16) {
        return Err(Failure::new("crypto/cipher: input not full blocks"));
    }
    let mut vector = [0; 16];
    vector.copy_from_slice(&data[..16]);
    let cipher = cbc::Decryptor::<Aes256>::new(&aes_key(bytes(a, 0)).into(), &vector.into());
    let plain =
        cipher.decrypt_padded_mut::<NoPadding>(&mut data[16..]).map_err(|error| Failure::new(error.to_string()))?;
    let Some(padding) = plain.last() else { return Err(Failure::new("runtime error: index out of range [-1]")) };
    match plain.len().checked_sub(usize::from(*padding)) {
        Some(length) => Ok(Value::string(&plain[..length])),
        None => {
            let length = plain.len() as i64 - i64::from(*padding);
            Err(Failure::new(format!("runtime error: slice bounds out of range [:{length}]")))
        }
    }
}

fn gen_private_key(state: &mut State<'_>, a: &[Value]) -> Result {
    let kind = text(a, 0);
    let mut source = Source(state);
    let key = match &*kind {
        "" | "rsa" => Key::rsa(&mut source, 4096),
        "dsa" => Ok(Key::dsa(&mut source)),
        "ecdsa" => Ok(Key::ec(&mut source)),
        "ed25519" => Ok(Key::ed25519(&mut source)),
        _ => return Ok(format!("Unknown type {kind}").into()),
    };
    match key.and_then(|key| key.to_pem()) {
        Ok(pem) => Ok(pem.into()),
        Err(error) => Ok(format!("failed to generate private key: {error}").into()),
    }
}

/// `sprig.certificate`.
const CERTIFICATE: Type = Type::Named(&CERTIFICATE_TYPE);
static CERTIFICATE_TYPE: Named = Named { name: "sprig.certificate", under: Under::Struct, methods: &[] };

/// A certificate with its key, both as PEM.
struct Certificate {
    cert: String,
    key: String,
}

impl Object for Certificate {
    fn type_of(&self) -> Type {
        CERTIFICATE
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(self.cert.as_str().into()),
            "Key" => Some(self.key.as_str().into()),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Cert", self.cert.as_str().into()), ("Key", self.key.as_str().into())]
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other = other.as_any().downcast_ref::<Certificate>();
        other.is_some_and(|other| self.cert == other.cert && self.key == other.key)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn build_custom_cert(_: &mut State<'_>, a: &[Value]) -> Result {
    let decode = |at: usize, what: &str| -> Result<String> {
        let decoded = super::encoding::decode_base64(bytes(a, at));
        let decoded = decoded.map_err(|_| Failure::new(format!("unable to decode base64 {what}")))?;
        Ok(String::from_utf8_lossy(&decoded).into_owned())
    };
    let (cert, key) = (decode(0, "certificate")?, decode(1, "private key")?);
    let Some((_, der)) = der::from_pem(&cert) else { return Err(Failure::new("unable to decode certificate")) };
    certificate::parse(&der)
        .map_err(|error| Failure::new(format!("error parsing certificate: decodedCert.Bytes: {error}")))?;
    Key::from_pem(&key).map_err(|error| Failure::new(format!("error parsing private key: {error}")))?;
    Ok(Value::object(Certificate { cert, key }))
}

fn authority(state: &mut State<'_>, a: &[Value], key: Option<usize>) -> Result {
    let key = key_of(state, a, key)?;
    made(state, &text(a, 0), &[], &[], integer(a, 1), (true, &key, None))
}

fn self_signed(state: &mut State<'_>, a: &[Value], key: Option<usize>) -> Result {
    let key = key_of(state, a, key)?;
    let (addresses, names) = (addresses(argument(a, 1))?, names(argument(a, 2))?);
    made(state, &text(a, 0), &addresses, &names, integer(a, 3), (false, &key, None))
}

fn signed(state: &mut State<'_>, a: &[Value], key: Option<usize>) -> Result {
    let key = key_of(state, a, key)?;
    let issuer = match argument(a, 4) {
        Value::Object(object) => {
            object.as_any().downcast_ref::<Certificate>().map(|ca| Issuer::from_pem(&ca.cert, &ca.key))
        }
        _ => None,
    };
    let issuer = issuer.unwrap_or_else(|| Err("unable to decode certificate".to_owned()))?;
    let (addresses, names) = (addresses(argument(a, 1))?, names(argument(a, 2))?);
    made(state, &text(a, 0), &addresses, &names, integer(a, 3), (false, &key, Some(&issuer)))
}

/// The key given as PEM at a position, or a fresh one.
fn key_of(state: &mut State<'_>, a: &[Value], at: Option<usize>) -> Result<Key> {
    match at {
        Some(at) => Key::from_pem(&text(a, at)).map_err(|error| Failure::new(format!("parsing private key: {error}"))),
        None => Key::rsa(&mut Source(state), 2048)
            .map_err(|error| Failure::new(format!("error generating rsa key: {error}"))),
    }
}

fn addresses(list: &Value) -> Result<Vec<IpAddr>> {
    let items = list.as_list().map(|list| list.to_vec()).unwrap_or_default();
    let address = |item: &Value| match item {
        Value::String(text) => {
            let text = text.to_str_lossy();
            text.parse().map_err(|_| Failure::new(format!("error parsing ip: {text}")))
        }
        other => Err(Failure::new(format!("error parsing ip: {} is not a string", shown(other)))),
    };
    items.iter().map(address).collect()
}

fn names(list: &Value) -> Result<Vec<String>> {
    let items = list.as_list().map(|list| list.to_vec()).unwrap_or_default();
    let name = |item: &Value| match item {
        Value::String(text) => Ok(text.to_str_lossy().into_owned()),
        other => Err(Failure::new(format!("error processing alternate dns name: {} is not a string", shown(other)))),
    };
    items.iter().map(name).collect()
}

fn shown(value: &Value) -> String {
    String::from_utf8_lossy(&format::sprintf(b"%v", std::slice::from_ref(value))).into_owned()
}

fn made(
    state: &mut State<'_>,
    common_name: &str,
    addresses: &[IpAddr],
    names: &[String],
    days: i64,
    (is_authority, key, issuer): (bool, &Key, Option<&Issuer>),
) -> Result {
    let mut serial = [0; 16];
    random::fill(state, &mut serial);
    let moment = state.context().clock.now();
    let now = Time::from_unix(moment.seconds, moment.nanoseconds, Zone::Utc);
    let wanted = Wanted { common_name, addresses, names, days, is_authority, serial, now };
    let cert = certificate::issue(&wanted, key, issuer)?;
    Ok(Value::object(Certificate { cert, key: key.to_pem()? }))
}
