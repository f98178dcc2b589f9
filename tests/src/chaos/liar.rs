//! A member that lies.

use tonle_client::api::{EventData, EventKind, EventsQuery, Evidence, EvidenceKind};
use tonle_model::hash::ChainHash;
use tonle_model::key::PublicKey;

use super::Plan;
use super::figures::{Figure, Mark};
use super::stage::Stage;
use crate::hosts::liar::{DEEDS, confession};
use crate::hosts::network::VALIDATORS;
use crate::hosts::{Outcome, PATIENCE, wait_for};

/// The one that lies, and those that do not.
const LIAR: usize = VALIDATORS - 1;
const HONEST: [usize; VALIDATORS - 1] = [0, 1, 2];

/// A leader proposes two blocks, and votes twice in every view. It costs a time-out each time it
/// leads, it leads rarely, and everyone can see what it signed.
pub fn two_faced(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.running.retain(|index| *index != LIAR);
    stage.pay(plan.rate)?;
    let time_outs = stage.count_time_outs()?;
    HONEST.iter().try_for_each(|index| hears(stage, *index))?;
    stage.network.hold(3 * plan.fault())?;
    let time_outs = stage.time_outs_since(&time_outs, plan)?;
    let exposed = HONEST.map(|index| exposes(stage, index));
    let exposed = exposed.into_iter().collect::<Outcome<Vec<usize>>>()?;
    let least = exposed.into_iter().min().unwrap_or_default();
    let counted = HONEST.map(|index| stage.network.metric(index, "tonle_evidence_total"));
    let counted = counted.into_iter().collect::<Outcome<Vec<f64>>>()?;
    let log = stage.network.log(LIAR);
    let done = DEEDS.into_iter().filter(|deed| log.contains(&confession(*deed))).count();
    Ok(vec![
        // Two proposals, two votes, a vote for a result beside one to leave: each did strike.
        Figure::count("kinds of lies told", done, Mark::AtLeast(DEEDS.len() as f64)),
        time_outs,
        Figure::count(
            "heights at which each of the others exposes its two votes",
            least,
            Mark::AtLeast(1.0),
        ),
        Figure::new(
            "evidence that each of the others counts, and told of in its events",
            counted.into_iter().fold(f64::INFINITY, f64::min),
            "",
            Mark::AtLeast(1.0),
        ),
    ])
}

/// Waits until a validator's events tell of what the liar signed.
fn hears(stage: &Stage, index: usize) -> Outcome<()> {
    let network = &stage.network;
    let (liar, chain) = (network.public_key(LIAR), network.clients().chain());
    let client = network.client(index).map_err(|error| error.to_string())?;
    let query = EventsQuery { kinds: Some(EventKind::Evidence.into()), ..EventsQuery::default() };
    let event = async { client.events(&query, None, None).await?.next().await };
    let event = network.ask(async { tokio::time::timeout(PATIENCE, event).await });
    let event = event.map_err(|_| format!("waited {PATIENCE:?} for an event of evidence"))?;
    match event.map_err(|error| error.to_string())?.map(|event| event.data) {
        Some(EventData::Evidence(one)) if one.public_key == liar && one.is_proven(&chain) => Ok(()),
        other => Err(format!("validator {index} told of {other:?}")),
    }
}

/// Waits until a validator shows two votes of the liar; tells at how many heights it does.
fn exposes(stage: &Stage, index: usize) -> Outcome<usize> {
    let network = &stage.network;
    let (liar, chain) = (network.public_key(LIAR), network.clients().chain());
    let look = || {
        let client = network.client(index).map_err(|error| error.to_string())?;
        let evidence = network.ask(client.evidence()).map_err(|error| error.to_string())?;
        let votes = double_votes(&evidence, &liar, &chain)?;
        Ok(Some(votes).filter(|count| *count > 0))
    };
    wait_for("evidence of two votes", PATIENCE, look).map(|(count, _)| count)
}

/// How often evidence shows two votes of the liar. All of it must be against the liar, and proven
/// by the liar's own signatures.
fn double_votes(evidence: &[Evidence], liar: &PublicKey, chain: &ChainHash) -> Outcome<usize> {
    if let Some(other) = evidence.iter().find(|one| one.public_key != *liar) {
        return Err(format!("{} is blamed too", other.public_key));
    }
    if let Some(unproven) = evidence.iter().find(|one| !one.is_proven(chain)) {
        return Err(format!("what it did at height {} is not proven", unproven.height));
    }
    Ok(evidence.iter().filter(|one| one.kind == EvidenceKind::Votes).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_client::api::{Said, Statement};
    use tonle_model::hash::{BlockHash, Digest256};
    use tonle_model::key::{KeyPair, Signature};
    use tonle_model::number::{Height, View};

    fn evidence(key: &KeyPair, kind: EvidenceKind, said: [Said; 2]) -> Evidence {
        let unsigned = said.map(|said| Statement { said, signature: Signature([0; 64]) });
        let mut evidence = Evidence {
            height: Height(7),
            view: View(2),
            public_key: key.public_key(),
            name: None,
            kind,
            statements: unsigned,
            seen_ms: 9,
        };
        evidence.statements = said.map(|said| {
            let message = evidence.signing_hash(&ChainHash::default(), said);
            Statement { said, signature: key.sign(message.as_ref()) }
        });
        evidence
    }

    #[test]
    fn only_two_votes_of_the_liar_that_are_proven_expose_it() {
        let (liar, chain) = (KeyPair::demo("validator_3"), ChainHash::default());
        let own = liar.public_key();
        let block = |byte| BlockHash(Digest256([byte; 32]));
        let notarize = [1, 2].map(|byte| Said::Notarize { block: block(byte) });
        let propose = [1, 2].map(|byte| Said::Propose { block: block(byte) });
        let votes = evidence(&liar, EvidenceKind::Votes, notarize);
        let proposals = evidence(&liar, EvidenceKind::Proposals, propose);
        let count = |all: &[Evidence]| double_votes(all, &own, &chain);
        assert_eq!(count(&[votes.clone(), proposals.clone()]), Ok(1));
        assert_eq!(count(&[proposals]), Ok(0), "it also voted twice");
        assert_eq!(count(&[]), Ok(0));
        let other = evidence(&KeyPair::demo("validator_0"), EvidenceKind::Votes, notarize);
        assert!(count(&[votes.clone(), other]).unwrap_err().contains("blamed too"));
        let mut forged = votes;
        forged.statements[1].signature.0[0] ^= 1;
        assert!(count(&[forged]).unwrap_err().contains("not proven"));
    }
}
