//! JavaScript values to the core's option tree.

use delivery_core::config::OptionValue;
use napi::ValueType;
use napi::bindgen_prelude::{Array, FromNapiValue, JsValue, Object, Result, Uint8Array, Unknown};
use zeroize::Zeroizing;

/// No option is nested deeper than this. A cyclic object reaches it.
const MAX_DEPTH: u8 = 12;

/// Reads any JavaScript value. A value that no option accepts becomes [`OptionValue::Other`]; the core refuses it and names
/// its path.
pub fn read(value: Unknown<'_>) -> Result<OptionValue> {
    read_at(value, 0)
}

fn read_at(value: Unknown<'_>, depth: u8) -> Result<OptionValue> {
    Ok(match value.get_type()? {
        ValueType::Undefined | ValueType::Null => OptionValue::Null,
        ValueType::Boolean => OptionValue::Bool(bool::from_unknown(value)?),
        ValueType::Number => OptionValue::Number(f64::from_unknown(value)?),
        ValueType::String => OptionValue::Text(Zeroizing::new(String::from_unknown(value)?)),
        ValueType::Object if depth >= MAX_DEPTH => OptionValue::Other("an object nested too deep"),
        ValueType::Object if value.is_array()? => {
            let array = Array::from_unknown(value)?;
            let items = (0..array.len()).map(|index| match array.get::<Unknown<'_>>(index)? {
                Some(item) => read_at(item, depth + 1),
                None => Ok(OptionValue::Null),
            });
            OptionValue::List(items.collect::<Result<_>>()?)
        }
        ValueType::Object if value.is_typedarray()? => match Uint8Array::from_unknown(value) {
            Ok(bytes) => OptionValue::Bytes(Zeroizing::new(bytes.to_vec())),
            Err(_) => OptionValue::Other("a typed array that is not a Uint8Array"),
        },
        ValueType::Object if value.is_date()? || value.is_promise()? || value.is_error()? => {
            OptionValue::Other("an object of another kind")
        }
        ValueType::Object => {
            let object = Object::from_unknown(value)?;
            let fields = Object::keys(&object)?.into_iter().map(|name| {
                let field = match object.get::<Unknown<'_>>(&name)? {
                    Some(field) => read_at(field, depth + 1)?,
                    None => OptionValue::Null,
                };
                Ok((name, field))
            });
            OptionValue::Record(fields.collect::<Result<_>>()?)
        }
        ValueType::Function => OptionValue::Other("a function"),
        ValueType::Symbol => OptionValue::Other("a symbol"),
        ValueType::BigInt => OptionValue::Other("a bigint"),
        _ => OptionValue::Other("a value of another kind"),
    })
}
