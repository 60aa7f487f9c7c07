//! The functions that `oracle/main.go` gives to the cases, and its types.

use std::any::Any;

use bowline::template::funcs::{Body, Function};
use bowline::template::{Failure, Integer, List, Map, Named, Object, Type, Under, Value};

const fn function(name: &'static str, params: &'static [Type], variadic: Option<Type>, body: Body) -> Function {
    Function { name, params, variadic, family: "test", doc: "", body }
}

const ANY: Option<Type> = Some(Type::Any);
const STRING: Option<Type> = Some(Type::String);

pub(super) static FUNCTIONS: &[Function] = &[
    function("dict", &[], ANY, |_, arguments| {
        if arguments.len() % 2 != 0 {
            return Err("odd number of arguments".into());
        }
        Ok(Value::map(arguments.chunks(2).map(|pair| (pair[0].to_string(), pair[1].clone()))))
    }),
    function("list", &[], ANY, |_, arguments| Ok(Value::list(arguments.to_vec()))),
    function("strs", &[], STRING, |_, arguments| Ok(Value::List(List::typed(Type::STRINGS, arguments.to_vec())))),
    function("bytes", &[Type::String], None, |_, arguments| Ok(Value::Bytes(arguments[0].text().into()))),
    function("smap", &[], STRING, |_, arguments| {
        let map = Map::typed(Type::STRING_MAP);
        for pair in arguments.chunks_exact(2) {
            map.insert(pair[0].text(), pair[1].clone());
        }
        Ok(map.into())
    }),
    function("i64", &[Type::Int64], None, |_, arguments| Ok(arguments[0].clone())),
    function("u8", &[Type::Uint8], None, |_, arguments| Ok(arguments[0].clone())),
    function("flt", &[Type::Float64], None, |_, arguments| Ok(arguments[0].clone())),
    function("yes", &[Type::Bool], None, |_, arguments| Ok(arguments[0].clone())),
    function("sub", &[Type::Int, Type::Int], None, |_, arguments| {
        Ok(Value::Int(arguments[0].integer() - arguments[1].integer()))
    }),
    function("fail", &[Type::String], None, |_, arguments| Err(Failure::new(arguments[0].to_string()))),
    function("obj", &[], None, |_, _| Ok(Value::object(Thing))),
    function("plain", &[], None, |_, _| Ok(Value::object(Plain))),
    function("named", &[], None, |_, _| {
        let names = Map::typed(Type::Named(&NAMES));
        names.insert("x", "X".into());
        Ok(names.into())
    }),
    function("dur", &[Type::Int64], None, |_, arguments| Ok(Value::object(Duration(arguments[0].integer())))),
    function("fmterr", &[Type::String], None, |_, arguments| Ok(Value::object(Words(arguments[0].to_string())))),
    function("set", &[Type::MAP, Type::String, Type::Any], None, |_, arguments| {
        let map = arguments[0].as_map().filter(|map| !map.is_nil()).ok_or("nil map")?;
        map.insert(arguments[1].text(), arguments[2].clone());
        Ok("".into())
    }),
    function("include", &[Type::String, Type::Any], None, |state, arguments| {
        state.include(arguments[0].text(), arguments[1].clone()).map(Value::from)
    }),
    function("tpl", &[Type::String, Type::Any], None, |state, arguments| {
        let text = arguments[0].as_text().cloned().unwrap_or_default();
        state.tpl(&text, arguments[1].clone()).map(Value::from)
    }),
];

static NAMES: Named = Named {
    name: "main.names",
    under: Under::Type(Type::MAP),
    methods: &[function("First", &[], None, |_, _| Ok("first".into()))],
};

struct Thing;

static THING: Named = Named {
    name: "main.object",
    under: Under::Struct,
    methods: &[
        function("Greet", &[Type::String], None, |_, arguments| Ok(format!("thing greets {}", arguments[1]).into())),
        function("Fail", &[], None, |_, _| Err("object failed".into())),
        function("Sum", &[], Some(Type::Int), |_, arguments| {
            Ok(Value::Int(arguments[1..].iter().map(Value::integer).sum()))
        }),
        function("String", &[], None, |_, _| Ok("object(thing)".into())),
    ],
};

impl Object for Thing {
    fn type_of(&self) -> Type {
        Type::Named(&THING)
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Name", "thing".into()), ("Count", Value::Int(7))]
    }

    fn string(&self) -> Option<String> {
        Some("object(thing)".to_owned())
    }

    fn equals(&self, _: &dyn Object) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Plain;

static PLAIN: Named = Named { name: "main.plain", under: Under::Struct, methods: &[] };

impl Object for Plain {
    fn type_of(&self) -> Type {
        Type::Named(&PLAIN)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("A", Value::Int(1)), ("B", "b".into()), ("C", Value::Nil), ("D", Value::strings(["x"]))]
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Duration(i64);

static DURATION: Named = Named { name: "time.Duration", under: Under::Type(Type::Int64), methods: &[] };

impl Object for Duration {
    fn type_of(&self) -> Type {
        Type::Named(&DURATION)
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int64(self.0))
    }

    fn string(&self) -> Option<String> {
        Some(if self.0 < 1_000 { format!("{}ns", self.0) } else { format!("{}µs", self.0 as f64 / 1e3) })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Words(String);

static WORDS: Named = Named { name: "*errors.errorString", under: Under::Pointer, methods: &[] };

impl Object for Words {
    fn type_of(&self) -> Type {
        Type::Named(&WORDS)
    }

    fn string(&self) -> Option<String> {
        Some(self.0.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn integers_of_all_kinds_keep_their_type() {
    let names: Vec<String> =
        [Integer::Int32(1), Integer::Uint(1), Integer::Uint8(1), Integer::Uint32(1), Integer::Uint64(1)]
            .map(|integer| Value::Integer(integer).type_name())
            .to_vec();
    assert_eq!(names, ["int32", "uint", "uint8", "uint32", "uint64"]);
}
