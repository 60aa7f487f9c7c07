//! The functions of sprig and Helm: each line of `*.txt` is a template, and `*.golden` is what Helm's own function table
//! makes of it; see `baseline.sh`. All of them must agree, errors included.

use std::fs;
use std::path::PathBuf;

use bowline::template::funcs::Functions;
use bowline::template::{Clock, Context, MissingKey, Moment, Seeded, State, Templates, Value, on_large_stack};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/template/funcs"))
}

fn context() -> Context {
    Context { missing_key: MissingKey::Zero, ..Context::default() }
}

fn render_with(text: &str, data: &Value, context: &mut Context) -> Result<String, String> {
    let mut templates = Templates::new("case", Functions::all());
    templates.parse("case", text).map_err(|error| error.to_string())?;
    let out = State::new(&templates, context).execute("case", data.clone());
    out.map(|out| String::from_utf8_lossy(&out).into_owned()).map_err(|error| error.to_string())
}

fn render(text: &str) -> Result<String, String> {
    render_with(text, &Value::Nil, &mut context())
}

#[derive(serde::Deserialize)]
struct Golden {
    template: String,
    output: Option<String>,
    error: Option<String>,
}

/// Runs all cases of a family and gives their number and those that disagree.
fn check(family: &str, data: &serde_json::Value) -> (usize, Vec<String>) {
    let read = |extension: &str| fs::read_to_string(folder().join(format!("{family}.{extension}"))).unwrap();
    let (cases, goldens) = (read("txt"), read("golden"));
    let is_case = |line: &&str| !line.is_empty() && !line.starts_with("# ");
    let cases: Vec<&str> = cases.lines().filter(is_case).collect();
    let goldens: Vec<&str> = goldens.lines().filter(is_case).collect();
    assert_eq!(cases.len(), goldens.len(), "{family}: run baseline.sh");
    let mut wrong = Vec::new();
    for (case, golden) in cases.iter().zip(&goldens) {
        let golden: Golden = serde_json::from_str(golden).unwrap();
        assert_eq!(*case, golden.template, "{family}: run baseline.sh");
        let wanted = golden.output.ok_or_else(|| golden.error.unwrap_or_default());
        let found = render_with(case, &Value::from_json(data), &mut context());
        if found != wanted {
            wrong.push(format!("{case}\n  helm {wanted:?}\n  ours {found:?}"));
        }
    }
    (cases.len(), wrong)
}

#[test]
fn functions_agree_with_helm() {
    let data = serde_json::from_str(&fs::read_to_string(folder().join("data.json")).unwrap()).unwrap();
    let mut families: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".txt").map(str::to_owned))
        .collect();
    families.sort();
    let (mut total, mut wrong) = (0, Vec::new());
    for family in families {
        let (count, disagreeing) = check(&family, &data);
        total += count;
        wrong.extend(disagreeing.into_iter().map(|case| format!("{family}: {case}")));
    }
    assert!(wrong.is_empty(), "{} of {total} disagree:\n{}", wrong.len(), wrong.join("\n"));
    assert!(total >= 400, "{total} cases");
}

/// The page that lists all functions; `BOWLINE_GOLDEN=write` writes it.
#[test]
fn the_page_of_functions_is_up_to_date() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/functions.md"));
    let page = bowline::template::funcs::page();
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests, not of the program")]
    if std::env::var("BOWLINE_GOLDEN").is_ok_and(|mode| mode == "write") {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/functions.md is not what the table says: run with BOWLINE_GOLDEN=write");
}

#[test]
fn helm_has_no_function_that_is_missing() {
    let functions = fs::read_to_string(folder().join("names.golden")).unwrap();
    let missing: Vec<&str> =
        functions.lines().filter(|line| !line.starts_with("# ") && Functions::all().get(line).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let known: Vec<&str> = functions.lines().collect();
    let invented: Vec<&str> =
        Functions::all().iter().map(|function| function.name).filter(|name| !known.contains(name)).collect();
    assert!(invented.is_empty(), "{invented:?}");
}

#[test]
fn a_seed_repeats_a_render_byte_by_byte() {
    let text = "{{ randAlphaNum 9 }} {{ uuidv4 }} {{ randBytes 9 }} {{ randInt 1 99 }} {{ shuffle \"abcdefgh\" }} {{ bcrypt \"x\" }} \
        {{ encryptAES \"k\" \"text\" }} {{ genPrivateKey \"ecdsa\" }} {{ genPrivateKey \"ed25519\" }} \
        {{ $ca := genCA \"ca\" 9 }}{{ $ca.Cert }}{{ $ca.Key }} \
        {{ $c := genSignedCertWithKey \"c\" nil (list \"c.svc\") 9 $ca (genPrivateKey \"ecdsa\") }}{{ $c.Cert }}";
    let with_seed = |seed: u64| {
        let mut context = Context { random: Box::new(Seeded::new(seed)), ..context() };
        render_with(text, &Value::Nil, &mut context).unwrap()
    };
    let first = with_seed(1);
    assert_eq!(first, with_seed(1));
    assert_ne!(first, with_seed(2));
}

#[test]
fn time_is_that_of_the_context() {
    struct Berlin;
    impl Clock for Berlin {
        fn now(&self) -> Moment {
            Moment { seconds: 1_700_000_000, nanoseconds: 5 }
        }
        fn zone(&self) -> &str {
            "Europe/Berlin"
        }
    }
    let render = |text: &str| render_with(text, &Value::Nil, &mut Context { clock: Box::new(Berlin), ..context() });
    for (text, want) in [
        ("{{ now }}", "2023-11-14 23:13:20.000000005 +0100 CET"),
        ("{{ date \"15:04 MST\" 0 }}", "01:00 CET"),
        ("{{ date \"15:04\" \"nonsense\" }}", "23:13"),
        (
            "{{ ago (int64 1699999900) }} {{ ago 1699999999 }} {{ durationRound (toDate \"2006\" \"2020\") }}",
            "1m40s 1s 3y",
        ),
        ("{{ now.UTC.Format \"15:04\" }} {{ now.Zone }}", ""),
        ("{{ toDate \"2006-01-02 15:04\" \"2023-03-26 02:30\" }}", "2023-03-26 03:30:00 +0200 CEST"),
        ("{{ toDate \"2006-01-02 15:04 MST\" \"2023-07-01 12:00 CEST\" }}", "2023-07-01 12:00:00 +0200 CEST"),
    ] {
        if want.is_empty() {
            assert!(render(text).is_err(), "{text}");
        } else {
            assert_eq!(render(text).as_deref(), Ok(want), "{text}");
        }
    }
}

#[test]
fn what_would_take_too_much_memory_is_refused() {
    for text in [
        "{{ until 1000000000 }}",
        "{{ untilStep 0 9223372036854775807 1 }}",
        "{{ untilStep -9223372036854775808 9223372036854775807 1 }}",
        "{{ seq 1 999999999999 }}",
        "{{ repeat 1000000000 \"ab\" }}",
        "{{ repeat 9223372036854775807 \"ab\" }}",
        "{{ indent 9223372036854775807 \"a\\nb\" }}",
        "{{ nindent 1000000000 \"a\" }}",
        "{{ randAlphaNum 9999999999 }}",
        "{{ randBytes 9999999999 }}",
        "{{ randBytes -1 }}",
        "{{ wrapWith 1 (repeat 1000000 \"x\") (repeat 1000 \"y\") }}",
        "{{ replace \"\" (repeat 1000000 \"x\") (repeat 1000 \"y\") }}",
        "{{ replace \"y\" (repeat 1000000 \"x\") (repeat 1000 \"y\") }}",
        "{{ join (repeat 1000000 \"x\") (until 1000) }}",
        "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ deepCopy $d }}",
        "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ mustToJson $d }}",
        "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ mustToYaml $d }}",
        "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ mustToToml $d }}",
        "{{ $d := dict \"e\" (dict) }}{{ $_ := set $d.e \"e\" $d.e }}{{ $f := dict \"e\" (dict) }}{{ $_ := set $f.e \"e\" $f.e }}{{ mustMerge $d $f }}",
    ] {
        let outcome = on_large_stack(|| render(text));
        assert!(outcome.is_err(), "{text}: {outcome:?}");
    }
}

/// Every function gets every kind of argument; what it says does not matter, that it says something does.
#[test]
fn no_function_panics() {
    let odd = [
        "nil",
        "\"\"",
        "\"a\"",
        "\"\\xff\\xfe\"",
        "-1",
        "0",
        "7",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "(float64 \"nan\")",
        "(list)",
        "(list nil 1 \"a\")",
        "(dict)",
        "(dict \"a\" nil)",
        "(splitList \",\" \"a,b\")",
        "(toDate \"2006\" \"x\")",
        "(mustToDuration 1)",
        "(semver \"1.2.3\")",
        "true",
    ];
    // Drawing keys of these kinds takes long, and they take nothing but a name.
    let slow = ["genPrivateKey", "genCA", "genSelfSignedCert", "genSignedCert", "derivePassword", "bcrypt", "htpasswd"];
    on_large_stack(|| {
        let mut context = context();
        for function in Functions::all().iter().filter(|function| !slow.contains(&function.name)) {
            let (least, most) = function.arity();
            for count in least..=most.unwrap_or(least + 2).min(4) {
                for at in 0..odd.len().pow(count.min(2) as u32) {
                    let arguments = (0..count).map(|n| odd[(at / odd.len().pow(n.min(1) as u32) + n / 2) % odd.len()]);
                    let text = format!("{{{{ {} {} }}}}", function.name, arguments.collect::<Vec<_>>().join(" "));
                    let _ = render_with(&text, &Value::Nil, &mut context);
                }
            }
        }
    });
}
