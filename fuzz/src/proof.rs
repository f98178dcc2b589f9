//! Proof files: whatever is done to one, it proves nothing but what is so.

mod spoil;
mod world;

use serde_json::Value;
use tonle_model::proof::{Claim, Proof};

use super::script::Script;
use world::World;

/// A proof of a small known world, or a lie about it, spoilt by the rest of the script; and the
/// bytes as a file.
pub fn proof(bytes: &[u8]) -> bool {
    let world = World::known();
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(proof) = Proof::from_json(text)
    {
        let again = serde_json::to_string(&proof).expect("every proof has a JSON form");
        assert_eq!(Proof::from_json(&again).ok().as_ref(), Some(&proof));
        check(world, &proof);
    }
    let mut script = Script::new(bytes);
    let begun = script.pick(&world.files).expect("there are some");
    let mut file = begun.clone();
    while !script.is_over() {
        spoil::spoil(&mut file, &world.files, &mut script);
    }
    let Ok(proof) = Proof::from_json(&file.to_string()) else { return false };
    let proven = check(world, &proof);
    let honest = &world.files[..world.proofs.len()];
    assert!(proven || !honest.contains(&file), "what is so can be proven");
    proven
}

/// What verifies is true, and is one of the honest proofs: no value of it was changed but the
/// name of something absent, to something else that is absent.
fn check(world: &World, proof: &Proof) -> bool {
    let applied = proof.to_applied().filter(|applied| world.shows_applied(applied));
    if let Some(applied) = applied {
        assert!(world.is_paid(&applied.transaction()), "{applied:?}");
    }
    let Ok(proven) = proof.verify(&world.genesis) else { return false };
    assert!(world.holds(&proven), "{proven:?}");
    let is_same = |honest: &Proof| same_but_for_the_question(honest, proof);
    assert!(world.proofs.iter().any(is_same), "{proof:?}");
    true
}

fn same_but_for_the_question(honest: &Proof, proof: &Proof) -> bool {
    let mut asked = honest.clone();
    if let (Claim::Absence { wanted, .. }, Claim::Absence { wanted: other, .. }) =
        (&mut asked.claim, &proof.claim)
    {
        *wanted = other.clone();
    }
    asked == *proof
}

/// A file's JSON and the way into it.
type Pointer = Vec<Step>;

/// One step into a JSON value.
#[derive(Debug, Clone)]
enum Step {
    Field(String),
    Item(usize),
}

/// Where a pointer leads, if it leads somewhere here.
fn follow<'a>(value: &'a mut Value, pointer: &[Step]) -> Option<&'a mut Value> {
    pointer.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Item(index) => value.get_mut(index),
    })
}
