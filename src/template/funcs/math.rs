//! Arithmetic: whole numbers as `int64` that wrap, floating point by exact decimals as sprig has it.

use super::convert::{argument, integer, text, to_float64, to_int64};
use super::decimal::Decimal;
use super::{ANY, FLOAT, Failure, INT, STRING};
use crate::template::exec::State;
use crate::template::format;
use crate::template::value::Value;

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "math";
    "add"(; ANY) = |_, a| Ok(Value::Int64(a.iter().map(to_int64).fold(0, i64::wrapping_add))), "The sum.";
    "add1"(ANY) = |_, a| Ok(Value::Int64(to_int64(argument(a, 0)).wrapping_add(1))), "One more.";
    "add1f"(ANY) = |_, a| decimals(argument(a, 0), &[Value::Int(1)], Decimal::add), "One more, with decimals.";
    "addf"(; ANY) = |_, a| decimals(&Value::Float(0.0), a, Decimal::add), "The sum, with decimals.";
    "atoi"(STRING) = atoi, "The number that a text is, 0 if it is none.";
    "biggest"(ANY; ANY) = |_, a| Ok(best(a, Ord::max)), "Old name of `max`.";
    "ceil"(ANY) = |_, a| Ok(to_float64(argument(a, 0)).ceil().into()), "Rounds up.";
    "div"(ANY, ANY) = div, "The whole quotient.";
    "divf"(ANY; ANY) = |_, a| decimals(argument(a, 0), rest(a), Decimal::div), "The quotient, with decimals.";
    "float64"(ANY) = |_, a| Ok(to_float64(argument(a, 0)).into()), "Any value as `float64`.";
    "floor"(ANY) = |_, a| Ok(to_float64(argument(a, 0)).floor().into()), "Rounds down.";
    "int"(ANY) = |_, a| Ok(Value::Int(to_int64(argument(a, 0)))), "Any value as `int`.";
    "int64"(ANY) = |_, a| Ok(Value::Int64(to_int64(argument(a, 0)))), "Any value as `int64`.";
    "max"(ANY; ANY) = |_, a| Ok(best(a, Ord::max)), "The largest.";
    "maxf"(ANY; ANY) = |_, a| Ok(best_float(a, go_max)), "The largest, with decimals.";
    "min"(ANY; ANY) = |_, a| Ok(best(a, Ord::min)), "The smallest.";
    "minf"(ANY; ANY) = |_, a| Ok(best_float(a, go_min)), "The smallest, with decimals.";
    "mod"(ANY, ANY) = modulo, "The rest of a division.";
    "mul"(ANY; ANY) = |_, a| Ok(Value::Int64(a.iter().map(to_int64).fold(1, i64::wrapping_mul))), "The product.";
    "mulf"(ANY; ANY) = |_, a| decimals(argument(a, 0), rest(a), Decimal::mul), "The product, with decimals.";
    "randInt"(INT, INT) = rand_int, "A random number from the first to before the second.";
    "round"(ANY, INT; FLOAT) = round, "Rounds to some decimals; the third argument is where rounding up starts.";
    "sub"(ANY, ANY) = sub, "The difference.";
    "subf"(ANY; ANY) = |_, a| decimals(argument(a, 0), rest(a), Decimal::sub), "The difference, with decimals.";
    "toDecimal"(ANY) = to_decimal, "The number that octal digits are.";
}

fn rest(a: &[Value]) -> &[Value] {
    a.get(1..).unwrap_or_default()
}

fn atoi(_: &mut State<'_>, a: &[Value]) -> Result {
    let text = text(a, 0);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    // Where a number does not fit, Go gives the nearest along with its error, and sprig drops only the error.
    Ok(Value::Int(if is_number { text.parse().unwrap_or(limit) } else { 0 }))
}

fn best(a: &[Value], better: fn(i64, i64) -> i64) -> Value {
    Value::Int64(a.iter().map(to_int64).reduce(better).unwrap_or(0))
}

fn best_float(a: &[Value], better: fn(f64, f64) -> f64) -> Value {
    a.iter().map(to_float64).reduce(better).unwrap_or(0.0).into()
}

/// Go's `math.Max`: NaN wins, but for infinity; 0 is larger than -0.
fn go_max(one: f64, two: f64) -> f64 {
    match () {
        () if one == f64::INFINITY || two == f64::INFINITY => f64::INFINITY,
        () if one.is_nan() || two.is_nan() => f64::NAN,
        () if one == 0.0 && two == 0.0 => {
            if one.is_sign_negative() {
                two
            } else {
                one
            }
        }
        () => one.max(two),
    }
}

fn go_min(one: f64, two: f64) -> f64 {
    -go_max(-one, -two)
}

fn divisor(a: &[Value]) -> Result<i64> {
    match to_int64(argument(a, 1)) {
        0 => Err(Failure::new("runtime error: integer divide by zero")),
        divisor => Ok(divisor),
    }
}

fn div(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(Value::Int64(to_int64(argument(a, 0)).wrapping_div(divisor(a)?)))
}

fn modulo(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(Value::Int64(to_int64(argument(a, 0)).wrapping_rem(divisor(a)?)))
}

fn sub(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(Value::Int64(to_int64(argument(a, 0)).wrapping_sub(to_int64(argument(a, 1)))))
}

fn decimals(first: &Value, others: &[Value], operation: fn(&Decimal, &Decimal) -> Result<Decimal>) -> Result {
    let mut total = Decimal::from_float(to_float64(first))?;
    for other in others {
        total = operation(&total, &Decimal::from_float(to_float64(other))?)?;
    }
    Ok(total.to_float().into())
}

fn rand_int(state: &mut State<'_>, a: &[Value]) -> Result {
    let (least, limit) = (integer(a, 0), integer(a, 1));
    match u64::try_from(limit.wrapping_sub(least)) {
        Ok(range) if range > 0 => Ok(Value::Int(least.wrapping_add(super::random::below(state, range) as i64))),
        _ => Err(Failure::new("invalid argument to Intn")),
    }
}

fn round(_: &mut State<'_>, a: &[Value]) -> Result {
    let up_from = match a.get(2) {
        Some(Value::Float(number)) => *number,
        _ => 0.5,
    };
    let power = 10f64.powi(integer(a, 1).clamp(-400, 400) as i32);
    let shifted = power * to_float64(argument(a, 0));
    let rounded = if shifted.fract() >= up_from { shifted.ceil() } else { shifted.floor() };
    Ok((rounded / power).into())
}

fn to_decimal(_: &mut State<'_>, a: &[Value]) -> Result {
    let printed = format::sprint(a);
    let printed = String::from_utf8_lossy(&printed);
    let digits = printed.strip_prefix(['+', '-']).unwrap_or(&printed);
    let is_octal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Ok(Value::Int64(if is_octal { i64::from_str_radix(&printed, 8).unwrap_or(0) } else { 0 }))
}
