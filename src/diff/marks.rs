//! The marks that every object of ours carries, and the field manager it is applied under.
//!
//! ```text
//! label       bowline.dev/unit: <digest of the unit's name>               selects what watches see
//! annotation  bowline.dev/id: <unit>;<group>/<kind>/<namespace>/<name>    names the object itself: a copied one is foreign
//! ```
//! Nothing is ever deleted because of a mark alone.

use super::entry::Digest;
use crate::object::{Object, ObjectId};
use crate::unit::UnitName;

/// The label that watches select by.
pub const UNIT_LABEL: &str = "bowline.dev/unit";
/// The annotation that names unit and object.
pub const ID_ANNOTATION: &str = "bowline.dev/id";

/// The value of [`UNIT_LABEL`] for a unit.
pub fn unit_label(unit: &UnitName) -> String {
    Digest::of(unit.to_string().as_bytes()).to_string()
}

/// The value of [`ID_ANNOTATION`] for an object of a unit.
pub fn id_annotation(unit: &UnitName, id: &ObjectId) -> String {
    format!("{unit};{}", id.key())
}

/// The field manager of a unit: `bowline/<source>/<namespace>[/<name>]`, at most 128 bytes as the API server demands.
pub fn manager(unit: &UnitName) -> String {
    let name = format!("bowline/{unit}");
    if name.len() <= 128 {
        return name;
    }
    let digest = Digest::of(name.as_bytes()).to_string();
    let mut head = 128 - digest.len() - 1;
    while !name.is_char_boundary(head) {
        head -= 1;
    }
    format!("{}-{digest}", &name[..head])
}

/// Whether a field manager is one of bowline's, of whichever unit.
pub fn is_ours(manager: &str) -> bool {
    manager.starts_with("bowline/")
}

/// Returns the object as it is sent: marked, ready for server-side apply.
pub fn marked(object: &Object, unit: &UnitName) -> Object {
    let mut object = object.clone();
    let id = object.id();
    object.set_label(UNIT_LABEL, &unit_label(unit));
    object.set_annotation(ID_ANNOTATION, &id_annotation(unit, &id));
    object
}

/// The unit that a live object's annotation names, if the annotation names this very object.
pub fn unit_of(object: &Object) -> Option<UnitName> {
    let (unit, key) = object.annotation(ID_ANNOTATION)?.split_once(';')?;
    (ObjectId::from_key(key)? == object.id()).then(|| unit.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_copied_annotation_names_another_object() {
        let unit = UnitName::namespace("main", "dev");
        let config = Object::new(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "dev"}}),
        )
        .unwrap();
        let ours = marked(&config, &unit);
        assert_eq!(unit_of(&ours), Some(unit));
        let mut copy = ours.into_value();
        copy["metadata"]["name"] = json!("b");
        assert_eq!(unit_of(&Object::new(copy).unwrap()), None);
    }

    #[test]
    fn a_long_manager_is_shortened_and_stays_unique() {
        let long = |end: &str| UnitName::named("main", &"n".repeat(63), &format!("{}{end}", "r".repeat(80)));
        let (one, other) = (manager(&long("1")), manager(&long("2")));
        assert!(one.len() <= 128 && other.len() <= 128);
        assert_ne!(one, other);
    }
}
