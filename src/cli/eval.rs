//! `bowline eval`

use std::io::Read as _;
use std::path::Path;

use super::world::World;
use super::{Exit, output};
use crate::error::Error;
use crate::template::funcs::Functions;
use crate::template::{self, MissingKey, State, Templates, Value, on_large_stack};

/// Render one template text and print what it gives
///
/// The text may call all functions of charts. Dot is the data as Helm holds it: all numbers are float64. A missing
/// value is printed as `<no value>`. An error is printed in the words of Go's text/template, and then shown in the text.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read the template from FILE; `-` is the standard input
    #[arg(value_name = "FILE")]
    file: String,

    /// Read the data, which is JSON, from FILE; `-` is the standard input. Without it, dot is nil
    #[arg(long, value_name = "FILE")]
    data: Option<String>,

    /// Call the template NAME in errors; the default is its file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Read further templates from FILE, for `include` and `template`
    #[arg(long = "define", value_name = "FILE")]
    defines: Vec<String>,

    /// Say what a key that is not there gives: as Helm does, nothing at all, or an error
    #[arg(long, value_name = "WHAT", default_value = "zero", value_parser = ["zero", "default", "error"])]
    missing_key: String,

    #[command(flatten)]
    world: World,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let name = args.name.as_deref().unwrap_or(if args.file == "-" { "stdin" } else { &args.file });
    let text = read(&args.file)?;
    let data = match &args.data {
        Some(file) => read_data(file)?,
        None => serde_json::Value::Null,
    };
    let mut templates = Templates::new("gotpl", Functions::all());
    for file in &args.defines {
        templates.parse(file, read(file)?).map_err(|error| shown(&error))?;
    }
    templates.parse(name, text).map_err(|error| shown(&error))?;
    output::bytes(&render(&templates, name, &data, args)?);
    Ok(Exit::Done)
}

fn render(templates: &Templates, name: &str, data: &serde_json::Value, args: &Args) -> Result<Vec<u8>, Error> {
    on_large_stack(|| {
        let mut context = args.world.context()?;
        context.missing_key = match args.missing_key.as_str() {
            "default" => MissingKey::Default,
            "error" => MissingKey::Error,
            _ => MissingKey::Zero,
        };
        let outcome = State::new(templates, &mut context).execute(name, Value::from_json(data));
        outcome.map_err(|error| shown(&error))
    })
}

// Go's text first, then the place.
fn shown(error: &template::Error) -> Error {
    Error::new(format!("{error}\n{}", error.excerpt()).trim_end())
}

fn read_data(file: &str) -> Result<serde_json::Value, Error> {
    let text = read(file)?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::new(format!("{file}:{}:{}: the data is not JSON", error.line(), error.column())).because(error)
    })
}

fn read(file: &str) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    let outcome = match file {
        "-" => std::io::stdin().read_to_end(&mut text).map(|_| text),
        _ => std::fs::read(Path::new(file)),
    };
    outcome.map_err(|error| Error::new(format!("{file}: cannot be read")).because(error))
}
