//! Notes on accounts.

use tonle_model::instruction::Instruction;
use tonle_model::receipt::RejectionCode as Code;

use super::{applied, one};
use crate::testing::{Net, account};

fn note(key: &str, value: &str, expected: Option<&str>) -> Instruction {
    Instruction::SetMetadata {
        account: account("sok@aclb"),
        key: key.parse().unwrap(),
        value: value.parse().unwrap(),
        expected: expected.map(|text| text.parse().unwrap()),
    }
}

fn forget(key: &str) -> Instruction {
    Instruction::RemoveMetadata { account: account("sok@aclb"), key: key.parse().unwrap() }
}

#[test]
fn notes_are_set_compared_and_forgotten() {
    let mut net = Net::new();
    one(&mut net, "dara@aclb", note("kyc", "1", None), Code::PermissionDenied);
    applied(&mut net, "bank@aclb", note("kyc", "level 1", Some("")));
    one(&mut net, "sok@aclb", note("kyc", "level 2", Some("")), Code::MetadataChanged);
    one(&mut net, "sok@aclb", note("kyc", "level 2", Some("level 0")), Code::MetadataChanged);
    applied(&mut net, "sok@aclb", note("kyc", "level 2", Some("level 1")));
    one(&mut net, "sok@aclb", note("other", "x", Some("y")), Code::MetadataChanged);
    let notes = net.world.reader().metadata(&account("sok@aclb")).unwrap().unwrap();
    assert_eq!(notes.len(), 1);
    one(&mut net, "dara@aclb", forget("kyc"), Code::PermissionDenied);
    one(&mut net, "sok@aclb", forget("other"), Code::UnknownMetadata);
    applied(&mut net, "sok@aclb", forget("kyc"));
    one(&mut net, "sok@aclb", forget("kyc"), Code::UnknownMetadata);
    assert_eq!(net.world.reader().metadata(&account("sok@aclb")).unwrap(), None);
    for number in 0..32 {
        applied(&mut net, "sok@aclb", note(&format!("n{number}"), "", None));
    }
    one(&mut net, "sok@aclb", note("one_more", "", None), Code::TooMany);
    applied(&mut net, "sok@aclb", note("n7", "again", None));
    let unknown =
        Instruction::RemoveMetadata { account: account("none@aclb"), key: "n".parse().unwrap() };
    one(&mut net, "sok@aclb", unknown, Code::UnknownAccount);
}
