//! X.509 certificates as Go's `crypto/x509` makes them for sprig, and the private keys that sign them.
//!
//! Signatures are deterministic for all kinds of keys, so that a render with a seed can be repeated byte by byte.

use std::net::IpAddr;

use p256::ecdsa::signature::Signer as _;
use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::rand_core::CryptoRngCore;
use sha2::{Digest as _, Sha256};

use super::der::{self, Element, bits, integer, object_id, sequence, tagged};
use super::time::{Time, Zone};

type Result<T> = std::result::Result<T, String>;

const RSA: &[u32] = &[1, 2, 840, 113_549, 1, 1, 1];
const RSA_SHA256: &[u32] = &[1, 2, 840, 113_549, 1, 1, 11];
const EC: &[u32] = &[1, 2, 840, 10_045, 2, 1];
const P256: &[u32] = &[1, 2, 840, 10_045, 3, 1, 7];
const ECDSA_SHA256: &[u32] = &[1, 2, 840, 10_045, 4, 3, 2];
const ED25519: &[u32] = &[1, 3, 101, 112];

/// What stands before a SHA-256 digest in an RSA signature.
const SHA256_PREFIX: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// A private key.
pub(crate) enum Key {
    Rsa(Box<RsaPrivateKey>),
    /// ECDSA on the curve P-256.
    Ec(p256::SecretKey),
    Ed25519(ed25519_dalek::SigningKey),
    /// DSA signs no certificates; its DER is kept as it is.
    Dsa(Vec<u8>),
}

impl Key {
    /// Draws an RSA key.
    pub(crate) fn rsa(random: &mut impl CryptoRngCore, bits: usize) -> Result<Key> {
        let key = RsaPrivateKey::new(random, bits).map_err(|error| error.to_string())?;
        Ok(Key::Rsa(Box::new(key)))
    }

    /// Draws an ECDSA key.
    pub(crate) fn ec(random: &mut impl CryptoRngCore) -> Key {
        Key::Ec(p256::SecretKey::random(random))
    }

    /// Draws an Ed25519 key.
    pub(crate) fn ed25519(random: &mut impl CryptoRngCore) -> Key {
        let mut seed = [0; 32];
        random.fill_bytes(&mut seed);
        Key::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Draws a DSA key of 2048 and 256 bits.
    pub(crate) fn dsa(random: &mut impl CryptoRngCore) -> Key {
        let components = dsa::Components::generate(random, dsa::KeySize::DSA_2048_256);
        let key = dsa::SigningKey::generate(random, components);
        let public = key.verifying_key();
        let components = public.components();
        let numbers = [components.p(), components.q(), components.g(), public.y(), key.x()];
        let mut parts = vec![integer(&[0])];
        parts.extend(numbers.iter().map(|number| integer(&number.to_bytes_be())));
        Key::Dsa(sequence(&parts))
    }

    /// The key in the form that OpenSSL used to write for its kind, as Go does.
    pub(crate) fn to_pem(&self) -> Result<String> {
        Ok(match self {
            Key::Rsa(key) => {
                let der = key.to_pkcs1_der().map_err(|error| error.to_string())?;
                der::to_pem("RSA PRIVATE KEY", der.as_bytes())
            }
            Key::Ec(key) => {
                let point = public_point(key);
                let body = sequence(&[
                    integer(&[1]),
                    tagged(der::OCTET_STRING, &key.to_bytes()),
                    tagged(0xa0, &object_id(P256)),
                    tagged(0xa1, &bits(&point)),
                ]);
                der::to_pem("EC PRIVATE KEY", &body)
            }
            Key::Ed25519(key) => {
                let inner = tagged(der::OCTET_STRING, &tagged(der::OCTET_STRING, key.as_bytes()));
                der::to_pem("PRIVATE KEY", &sequence(&[integer(&[0]), sequence(&[object_id(ED25519)]), inner]))
            }
            Key::Dsa(der) => der::to_pem("DSA PRIVATE KEY", der),
        })
    }

    /// Reads a key of any of the forms that [`Key::to_pem`] writes, or PKCS 8.
    pub(crate) fn from_pem(text: &str) -> Result<Key> {
        let (label, der) = der::from_pem(text).ok_or("no PEM data in input")?;
        if label == "PRIVATE KEY" {
            return from_pkcs8(&der).map_err(|error| format!("decoding PEM as PKCS#8: {error}"));
        }
        let kind = label.strip_suffix(" PRIVATE KEY");
        match kind.ok_or_else(|| format!("no private key data in PEM block of type {label}"))? {
            "RSA" => from_pkcs1(&der).map_err(|error| format!("parsing RSA private key from PEM: {error}")),
            "EC" => from_sec1(&der).map_err(|error| format!("parsing EC private key from PEM: {error}")),
            "DSA" => match der::expect(&mut &der[..], der::SEQUENCE) {
                Some(_) => Ok(Key::Dsa(der)),
                None => Err("parsing DSA private key from PEM: asn1: structure error".to_owned()),
            },
            _ => Err(format!("invalid private key type {label}")),
        }
    }

    /// Algorithm and bits of the public key, as certificates hold it.
    fn public(&self) -> Result<PublicKey> {
        let null = vec![5, 0];
        Ok(match self {
            Key::Rsa(key) => {
                let der = key.to_public_key().to_pkcs1_der().map_err(|error| error.to_string())?;
                PublicKey { algorithm: sequence(&[object_id(RSA), null]), bits: der.as_bytes().to_vec() }
            }
            Key::Ec(key) => {
                PublicKey { algorithm: sequence(&[object_id(EC), object_id(P256)]), bits: public_point(key) }
            }
            Key::Ed25519(key) => {
                PublicKey { algorithm: sequence(&[object_id(ED25519)]), bits: key.verifying_key().as_bytes().to_vec() }
            }
            Key::Dsa(_) => return Err("x509: unsupported public key type: *dsa.PublicKey".to_owned()),
        })
    }

    /// The signature algorithm, and the signature of a message.
    fn signature_algorithm(&self) -> Vec<u8> {
        match self {
            Key::Rsa(_) => sequence(&[object_id(RSA_SHA256), vec![5, 0]]),
            Key::Ec(_) => sequence(&[object_id(ECDSA_SHA256)]),
            Key::Ed25519(_) | Key::Dsa(_) => sequence(&[object_id(ED25519)]),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        match self {
            Key::Rsa(key) => {
                let padding = rsa::Pkcs1v15Sign { hash_len: Some(32), prefix: Box::new(SHA256_PREFIX) };
                key.sign(padding, &Sha256::digest(message)).map_err(|error| error.to_string())
            }
            Key::Ec(key) => {
                let signature: p256::ecdsa::Signature = p256::ecdsa::SigningKey::from(key).sign(message);
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Key::Ed25519(key) => Ok(key.sign(message).to_bytes().to_vec()),
            Key::Dsa(_) => Err("x509: certificate private key does not implement crypto.Signer".to_owned()),
        }
    }
}

fn public_point(key: &p256::SecretKey) -> Vec<u8> {
    use p256::elliptic_curve::sec1::ToEncodedPoint as _;
    key.public_key().to_encoded_point(false).as_bytes().to_vec()
}

fn from_pkcs1(der: &[u8]) -> Result<Key> {
    RsaPrivateKey::from_pkcs1_der(der).map(|key| Key::Rsa(Box::new(key))).map_err(|error| error.to_string())
}

fn from_sec1(der: &[u8]) -> Result<Key> {
    let read = || {
        let mut body = der::expect(&mut &der[..], der::SEQUENCE)?.content;
        der::expect(&mut body, der::INTEGER)?;
        let secret = der::expect(&mut body, der::OCTET_STRING)?.content;
        if let Some(curve) = der::expect(&mut body, 0xa0)
            && curve.content != object_id(P256)
        {
            return None;
        }
        p256::SecretKey::from_slice(secret).ok()
    };
    read().map(Key::Ec).ok_or_else(|| "x509: failed to parse EC private key: it is none on the curve P-256".to_owned())
}

fn from_pkcs8(der: &[u8]) -> Result<Key> {
    let parts = || {
        let mut body = der::expect(&mut &der[..], der::SEQUENCE)?.content;
        der::expect(&mut body, der::INTEGER)?;
        let algorithm = der::expect(&mut body, der::SEQUENCE)?.content;
        Some((algorithm, der::expect(&mut body, der::OCTET_STRING)?.content))
    };
    let (algorithm, key) = parts().ok_or("asn1: structure error")?;
    if algorithm.starts_with(&object_id(RSA)) {
        return from_pkcs1(key);
    }
    if algorithm == [object_id(EC), object_id(P256)].concat() {
        return from_sec1(key);
    }
    let seed = der::expect(&mut &key[..], der::OCTET_STRING).and_then(|seed| <[u8; 32]>::try_from(seed.content).ok());
    match seed.filter(|_| algorithm == object_id(ED25519)) {
        Some(seed) => Ok(Key::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed))),
        None => Err("x509: PKCS#8 wrapping contained private key with unknown algorithm".to_owned()),
    }
}

struct PublicKey {
    algorithm: Vec<u8>,
    bits: Vec<u8>,
}

impl PublicKey {
    fn to_der(&self) -> Vec<u8> {
        sequence(&[self.algorithm.clone(), bits(&self.bits)])
    }
}

/// What a certificate is to say.
pub(crate) struct Wanted<'w> {
    pub(crate) common_name: &'w str,
    pub(crate) addresses: &'w [IpAddr],
    pub(crate) names: &'w [String],
    /// Days from now; Go counts them in nanoseconds, which wrap.
    pub(crate) days: i64,
    pub(crate) is_authority: bool,
    pub(crate) serial: [u8; 16],
    pub(crate) now: Time,
}

/// Who signs a certificate.
pub(crate) struct Issuer {
    subject: Vec<u8>,
    key_id: Option<Vec<u8>>,
    key: Key,
}

impl Issuer {
    /// An issuer from its certificate and key as PEM.
    pub(crate) fn from_pem(certificate: &str, key: &str) -> Result<Issuer> {
        let (_, der) = der::from_pem(certificate).ok_or("unable to decode certificate")?;
        let parsed =
            parse(&der).map_err(|error| format!("error parsing certificate: decodedSignerCert.Bytes: {error}"))?;
        let key = Key::from_pem(key).map_err(|error| format!("error parsing private key: {error}"))?;
        if key.public().is_ok_and(|public| public.to_der() != parsed.public_key) {
            let error = "x509: provided PrivateKey doesn't match parent's PublicKey";
            return Err(format!("error creating certificate: {error}"));
        }
        Ok(Issuer { subject: parsed.subject, key_id: parsed.key_id, key })
    }
}

/// The parts of a certificate that its children need.
pub(crate) struct Parsed {
    subject: Vec<u8>,
    public_key: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

/// Reads a certificate.
pub(crate) fn parse(der: &[u8]) -> Result<Parsed> {
    read(der).ok_or_else(|| "x509: malformed certificate".to_owned())
}

fn read(mut der: &[u8]) -> Option<Parsed> {
    let mut outer = der::expect(&mut der, der::SEQUENCE)?.content;
    let mut body = der::expect(&mut outer, der::SEQUENCE)?.content;
    der::expect(&mut body, 0xa0);
    der::expect(&mut body, der::INTEGER)?;
    der::expect(&mut body, der::SEQUENCE)?;
    der::expect(&mut body, der::SEQUENCE)?;
    der::expect(&mut body, der::SEQUENCE)?;
    let subject = der::expect(&mut body, der::SEQUENCE)?.whole.to_vec();
    let public_key = der::expect(&mut body, der::SEQUENCE)?.whole.to_vec();
    let mut key_id = None;
    while let Some(Element { tag, content, .. }) = der::take(&mut body) {
        if tag == 0xa3 {
            key_id = subject_key_id(content);
        }
    }
    Some(Parsed { subject, public_key, key_id })
}

fn subject_key_id(mut extensions: &[u8]) -> Option<Vec<u8>> {
    let mut list = der::expect(&mut extensions, der::SEQUENCE)?.content;
    while let Some(extension) = der::expect(&mut list, der::SEQUENCE) {
        let mut parts = extension.content;
        if der::expect(&mut parts, der::OBJECT_ID)?.whole == object_id(&[2, 5, 29, 14]) {
            der::expect(&mut parts, der::BOOLEAN);
            let mut value = der::expect(&mut parts, der::OCTET_STRING)?.content;
            return der::expect(&mut value, der::OCTET_STRING).map(|id| id.content.to_vec());
        }
    }
    None
}

/// Makes a certificate for a key, signed by an issuer or by the key itself; gives it as PEM.
pub(crate) fn issue(wanted: &Wanted<'_>, key: &Key, issuer: Option<&Issuer>) -> Result<String> {
    let public = key.public().map_err(|error| format!("error creating certificate: {error}"))?;
    let subject = name(wanted.common_name);
    let issuer_subject = issuer.map_or(&subject, |issuer| &issuer.subject);
    let authority_key = issuer.filter(|_| *issuer_subject != subject).and_then(|issuer| issuer.key_id.as_deref());
    let signer = issuer.map_or(key, |issuer| &issuer.key);
    let lifetime = super::time::Duration(wanted.days.wrapping_mul(86_400_000_000_000));
    let body = sequence(&[
        tagged(0xa0, &integer(&[2])),
        integer(&wanted.serial),
        signer.signature_algorithm(),
        issuer_subject.clone(),
        sequence(&[moment(&wanted.now)?, moment(&wanted.now.add(lifetime))?]),
        subject,
        public.to_der(),
        tagged(0xa3, &sequence(&extensions(wanted, &public, authority_key)?)),
    ]);
    let signature = signer.sign(&body).map_err(|error| format!("error creating certificate: {error}"))?;
    let certificate = sequence(&[body, signer.signature_algorithm(), bits(&signature)]);
    Ok(der::to_pem("CERTIFICATE", &certificate))
}

fn name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return sequence(&[]);
    }
    // Go writes the plainest kind of string that can hold the text.
    let is_printable = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    let tag = if common_name.chars().all(is_printable) { der::PRINTABLE_STRING } else { der::UTF8_STRING };
    let attribute = sequence(&[object_id(&[2, 5, 4, 3]), tagged(tag, common_name.as_bytes())]);
    sequence(&[tagged(der::SET, &attribute)])
}

fn moment(time: &Time) -> Result<Vec<u8>> {
    let time = time.in_zone(Zone::Utc);
    match time.year() {
        1950..2050 => Ok(tagged(der::UTC_TIME, time.format("060102150405Z").as_bytes())),
        0..10_000 => Ok(tagged(der::GENERALIZED_TIME, time.format("20060102150405Z").as_bytes())),
        _ => Err("error creating certificate: cannot represent time as GeneralizedTime".to_owned()),
    }
}

fn extension(id: &[u32], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![object_id(id)];
    if critical {
        parts.push(tagged(der::BOOLEAN, &[0xff]));
    }
    parts.push(tagged(der::OCTET_STRING, value));
    sequence(&parts)
}

fn extensions(wanted: &Wanted<'_>, public: &PublicKey, authority_key: Option<&[u8]>) -> Result<Vec<Vec<u8>>> {
    // Digital signature, key encipherment; authorities also sign certificates.
    let usage: &[u8] = if wanted.is_authority { &[2, 0xa4] } else { &[5, 0xa0] };
    let purposes = [1, 2].map(|purpose| object_id(&[1, 3, 6, 1, 5, 5, 7, 3, purpose]));
    let constraints = if wanted.is_authority { vec![tagged(der::BOOLEAN, &[0xff])] } else { Vec::new() };
    let mut list = vec![
        extension(&[2, 5, 29, 15], true, &tagged(der::BIT_STRING, usage)),
        extension(&[2, 5, 29, 37], false, &sequence(&purposes)),
        extension(&[2, 5, 29, 19], true, &sequence(&constraints)),
    ];
    if wanted.is_authority {
        let id = &Sha256::digest(&public.bits)[..20];
        list.push(extension(&[2, 5, 29, 14], false, &tagged(der::OCTET_STRING, id)));
    }
    if let Some(id) = authority_key {
        list.push(extension(&[2, 5, 29, 35], false, &sequence(&[tagged(0x80, id)])));
    }
    if !wanted.names.is_empty() || !wanted.addresses.is_empty() {
        let mut names = Vec::new();
        for name in wanted.names {
            if !name.is_ascii() {
                let quoted = super::format::quote(name.as_bytes());
                return Err(format!("error creating certificate: x509: {quoted} cannot be encoded as an IA5String"));
            }
            names.push(tagged(0x82, name.as_bytes()));
        }
        names.extend(wanted.addresses.iter().map(|address| match address.to_canonical() {
            IpAddr::V4(address) => tagged(0x87, &address.octets()),
            IpAddr::V6(address) => tagged(0x87, &address.octets()),
        }));
        list.push(extension(&[2, 5, 29, 17], wanted.common_name.is_empty(), &sequence(&names)));
    }
    Ok(list)
}
