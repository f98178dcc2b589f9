//! Signed queries: who gets an answer, and which.

use serde_json::{Value, json};
use tonle_client::ClientError;
use tonle_client::api::{Page, Query, QueryPayload, SCALE, SignedQuery};
use tonle_model::hash::{ChainHash, Digest256, HoldId, ProposalId};
use tonle_model::id::AccountId;
use tonle_model::key::{KeyPair, Signature};

use super::tests_node::{GENESIS_MS, Net, start, start_with};
use super::{Node, Settings};

const OPERATOR: &str = "governor@nbc";

fn account(id: &str) -> Query {
    Query::Account { id: id.parse().unwrap() }
}

fn query(json: Value) -> Query {
    serde_json::from_value(json).unwrap()
}

fn payload(net: &Net, asker: &str, nonce: u64, query: Query) -> QueryPayload {
    let created_ms = net.node.now_ms();
    let (chain, account) = (net.node.world().chain(), asker.parse().unwrap());
    QueryPayload { chain, account, created_ms, nonce, query }
}

fn signed(net: &Net, asker: &str, nonce: u64, query: Query) -> SignedQuery {
    payload(net, asker, nonce, query).sign(&[&KeyPair::demo(asker)])
}

#[track_caller]
fn assert_problem(result: Result<Value, ClientError>, status: u16, code: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(status), Some(code)), "{error}");
}

/// Two banks that are read by their own readers, and a company of `sok` and `dara` at one of them.
async fn banks() -> Net {
    let net = start_with("none", Settings::default()).await;
    let key = |name: &str| json!({"public_key": KeyPair::demo(name).public_key(), "weight": 1});
    let reader =
        |id: &str| json!({"register_account": {"id": id, "signatories": [key(id)], "quorum": 1}});
    let corp = json!({"id": "corp@aclb", "signatories": [key("sok@aclb"), key("dara@wing")],
        "quorum": 2});
    let steps = [
        reader("reader@aclb"),
        reader("reader@wing"),
        json!({"register_account": corp}),
        json!({"grant": {"permission": "read_accounts:aclb", "account": "reader@aclb"}}),
        json!({"grant": {"permission": "read_accounts:wing", "account": "reader@wing"}}),
        json!({"grant": {"permission": "read_all_accounts", "account": "bopha@wing"}}),
    ];
    net.node.run(OPERATOR, &[OPERATOR], &steps);
    net
}

#[tokio::test]
async fn a_signed_query_and_its_unsigned_twin_have_one_answer() {
    let net = start().await;
    net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "5", 1)]);
    let hold = json!({"hold": {"asset": "khr#nbc", "to": "dara@wing", "amount": "300",
        "expires_ms": GENESIS_MS + 60_000}});
    let hash = net.node.run("sok@aclb", &["sok@aclb"], &[hold]);
    let role = json!({"register_role": {"id": "auditor", "permissions": ["read_all_accounts"]}});
    net.node.run(OPERATOR, &[OPERATOR], &[role]);
    let hold_id = HoldId::of(&hash.0, 0);
    let time_ms = GENESIS_MS + 1_000;
    let of_sok = json!({"account": "sok@aclb"});
    let history = json!({"account": "sok@aclb", "asset": "khr#nbc", "direction": "out",
        "since_ms": time_ms, "until_ms": time_ms, "limit": 2});
    let at = json!({"account": "sok@aclb", "asset": "khr#nbc", "time_ms": time_ms});
    let riel = "assets/khr%23nbc";
    let movements = format!(
        "accounts/sok@aclb/transactions?asset=khr%23nbc&direction=out&since={time_ms}\
         &until={time_ms}&limit=2"
    );
    let twins = [
        (json!({"account": {"id": "sok@aclb"}}), "accounts/sok@aclb".to_owned()),
        (json!({"accounts": {"limit": 2}}), "accounts?limit=2".to_owned()),
        (json!({"accounts": {"domain": "wing"}}), "accounts?domain=wing".to_owned()),
        (json!({"balances": of_sok}), "accounts/sok@aclb/balances".to_owned()),
        (json!({"balance_at": at}), format!("accounts/sok@aclb/balances/khr%23nbc/at/{time_ms}")),
        (json!({"history": history}), movements),
        (json!({"holds": of_sok}), "accounts/sok@aclb/holds".to_owned()),
        (json!({"hold": {"id": hold_id}}), format!("holds/{hold_id}")),
        (json!({"invoices": {"payee": "sok@aclb", "id": "7"}}), "invoices/sok@aclb/7".to_owned()),
        (json!({"proposals": of_sok}), "accounts/sok@aclb/proposals".to_owned()),
        (json!({"assets": {"limit": 1}}), "assets?limit=1".to_owned()),
        (json!({"asset": {"id": "khr#nbc"}}), riel.to_owned()),
        (json!({"supply": {"asset": "khr#nbc"}}), format!("{riel}/supply")),
        (json!({"domains": {"cursor": "nbc"}}), "domains?cursor=nbc".to_owned()),
        (json!({"roles": {}}), "roles".to_owned()),
        (json!({"role": {"id": "auditor"}}), "roles/auditor".to_owned()),
        (json!("parameters"), "parameters".to_owned()),
        (json!("validators"), "validators".to_owned()),
    ];
    for (nonce, (asked, path)) in (0..).zip(twins) {
        let url = format!("http://{}/v1/{path}", net.address);
        let unsigned: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        let by_operator = signed(&net, OPERATOR, nonce, query(asked));
        assert_eq!(net.client.query(&by_operator).await.unwrap(), unsigned, "{path}");
    }
}

#[tokio::test]
async fn an_account_reads_itself_where_strangers_read_nothing() {
    let net = banks().await;
    let error = net.client.account(&"sok@aclb".parse().unwrap()).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(403), Some("reads_not_public")));
    assert!(error.to_string().contains("POST /v1/query"), "{error}");

    let own = net.client.query(&signed(&net, "sok@aclb", 1, account("sok@aclb"))).await.unwrap();
    assert_eq!(own["id"], "sok@aclb");
    let other = signed(&net, "sok@aclb", 2, account("dara@wing"));
    assert_problem(net.client.query(&other).await, 403, "permission_denied");
    let nobody = signed(&net, "sok@aclb", 3, account("nobody@aclb"));
    assert_problem(net.client.query(&nobody).await, 403, "permission_denied");
    let parameters = signed(&net, "sok@aclb", 4, Query::Parameters);
    assert_eq!(net.client.query(&parameters).await.unwrap()["public_reads"], "none");
}

#[tokio::test]
async fn a_bank_reads_its_own_customers_and_not_anothers() {
    let net = banks().await;
    let of = |id: &str| {
        let subject = json!({"account": id});
        [
            json!({"account": {"id": id}}),
            json!({"balances": subject}),
            json!({"history": subject}),
            json!({"holds": subject}),
            json!({"proposals": subject}),
            json!({"balance_at": {"account": id, "asset": "khr#nbc", "time_ms": 0}}),
            json!({"invoices": {"payee": id, "id": "7"}}),
        ]
    };
    let list = |domain: &str| json!({"accounts": {"domain": domain}});
    let mut nonce = 0;
    let mut ask = |asker: &str, asked: Value| {
        nonce += 1;
        signed(&net, asker, nonce, query(asked))
    };
    for (asker, own, other) in [("reader@aclb", "aclb", "wing"), ("reader@wing", "wing", "aclb")] {
        let customer = |bank: &str| if bank == "aclb" { "sok@aclb" } else { "dara@wing" };
        for asked in of(customer(own)).into_iter().chain([list(own)]) {
            let answer = net.client.query(&ask(asker, asked.clone())).await;
            assert!(answer.is_ok(), "{asker} asks {asked}: {answer:?}");
        }
        let all = json!({"accounts": {}});
        let totals = json!({"totals": {"asset": "khr#nbc"}});
        for asked in of(customer(other)).into_iter().chain([list(other), all, totals]) {
            let answer = net.client.query(&ask(asker, asked)).await;
            assert_problem(answer, 403, "permission_denied");
        }
    }
    for asker in ["bopha@wing", OPERATOR] {
        let whole = [json!({"accounts": {}}), json!({"totals": {"asset": "khr#nbc"}})];
        for asked in of("sok@aclb").into_iter().chain([list("aclb")]).chain(whole) {
            assert!(net.client.query(&ask(asker, asked.clone())).await.is_ok(), "{asker}: {asked}");
        }
    }
    let nobody = ask("reader@aclb", json!({"account": {"id": "nobody@aclb"}}));
    assert_problem(net.client.query(&nobody).await, 404, "unknown_account");
}

#[tokio::test]
async fn a_hold_is_for_its_parties_and_their_banks() {
    let net = banks().await;
    let hold = json!({"hold": {"asset": "khr#nbc", "to": "governor@nbc", "amount": "300",
        "expires_ms": GENESIS_MS + 60_000}});
    let hash = net.node.run("sok@aclb", &["sok@aclb"], &[hold]);
    let asked = || Query::Hold { id: HoldId::of(&hash.0, 0) };
    for asker in ["sok@aclb", "reader@aclb", OPERATOR] {
        let hold = net.client.query(&signed(&net, asker, 1, asked())).await.unwrap();
        assert_eq!(hold["amount"], "300", "{asker}");
    }
    for asker in ["dara@wing", "reader@wing"] {
        let answer = net.client.query(&signed(&net, asker, 1, asked())).await;
        assert_problem(answer, 403, "permission_denied");
    }
    let unknown = Query::Hold { id: HoldId::default() };
    let answer = net.client.query(&signed(&net, "dara@wing", 2, unknown)).await;
    assert_problem(answer, 404, "unknown_hold");
}

#[tokio::test]
async fn each_signatory_reads_what_it_is_to_approve() {
    let net = banks().await;
    let note = json!({"set_metadata": {"account": "corp@aclb", "key": "motto", "value": "on"}});
    let propose = json!({"propose": {"account": "corp@aclb", "instructions": [note],
        "expires_ms": GENESIS_MS + 60_000}});
    let hash = net.node.run("sok@aclb", &["sok@aclb"], &[propose]);
    let one = || Query::Proposal { id: ProposalId::of(&hash, 0) };
    let all = || Query::Proposals { account: "corp@aclb".parse().unwrap() };
    for asker in ["dara@wing", "sok@aclb", "reader@aclb"] {
        let page = net.client.query(&signed(&net, asker, 1, all())).await.unwrap();
        let page: Page<Value> = serde_json::from_value(page).unwrap();
        let proposal = net.client.query(&signed(&net, asker, 2, one())).await.unwrap();
        assert_eq!(page.items, [proposal], "{asker}");
    }
    let stranger = net.client.query(&signed(&net, "reader@wing", 1, all())).await;
    assert_problem(stranger, 403, "permission_denied");
    let stranger = net.client.query(&signed(&net, "reader@wing", 2, one())).await;
    assert_problem(stranger, 403, "permission_denied");
    let own = net.client.query(&signed(&net, "dara@wing", 3, account("corp@aclb"))).await;
    assert_problem(own, 403, "permission_denied");
}

#[tokio::test]
async fn whoever_asks_must_be_who_it_says() {
    let net = banks().await;
    let (sok, dara) = (KeyPair::demo("sok@aclb"), KeyPair::demo("dara@wing"));
    let own = || payload(&net, "sok@aclb", 7, account("sok@aclb"));

    let mut stranger = own();
    stranger.chain = ChainHash(Digest256([7; 32]));
    assert_problem(net.client.query(&stranger.sign(&[&sok])).await, 422, "wrong_chain");
    for created_ms in [own().created_ms - 60_001, own().created_ms + 60_001] {
        let late = QueryPayload { created_ms, ..own() }.sign(&[&sok]);
        assert_problem(net.client.query(&late).await, 401, "query_not_current");
    }
    let nobody: AccountId = "nobody@aclb".parse().unwrap();
    let nobody = QueryPayload { account: nobody, ..own() }.sign(&[&sok]);
    assert_problem(net.client.query(&nobody).await, 401, "unknown_authority");
    assert_problem(net.client.query(&own().sign(&[])).await, 401, "quorum_not_met");
    assert_problem(net.client.query(&own().sign(&[&dara])).await, 401, "quorum_not_met");
    let mut forged = own().sign(&[&sok]);
    let mut signatures = forged.signatures.to_vec();
    signatures[0].signature = Signature([1; 64]);
    forged.signatures = signatures.try_into().unwrap();
    assert_problem(net.client.query(&forged).await, 401, "bad_signature");

    let of_two = || payload(&net, "corp@aclb", 1, account("corp@aclb"));
    assert_problem(net.client.query(&of_two().sign(&[&sok])).await, 401, "quorum_not_met");
    assert_problem(net.client.query(&of_two().sign(&[&sok, &sok])).await, 401, "quorum_not_met");
    assert!(net.client.query(&of_two().sign(&[&sok, &dara])).await.is_ok());

    let good = own().sign(&[&sok]);
    assert!(net.client.query(&good).await.is_ok(), "none of the others used the nonce up");
    assert_problem(net.client.query(&good).await, 401, "nonce_used");
}

#[tokio::test]
async fn a_node_answers_no_more_than_it_can_remember() {
    let settings = Settings { queries_max: 1, ..Settings::default() };
    let net = start_with("none", settings).await;
    let first = signed(&net, "sok@aclb", 1, account("sok@aclb"));
    assert!(net.client.query(&first).await.is_ok());
    let error = net.client.query(&signed(&net, "sok@aclb", 2, account("sok@aclb"))).await;
    assert!(error.as_ref().is_err_and(|error| error.retry_after().is_some()));
    assert_problem(error, 429, "busy");
    for nonce in 0..121 {
        net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "1", nonce)]);
    }
    let later = signed(&net, "sok@aclb", 2, account("sok@aclb"));
    assert!(net.client.query(&later).await.is_ok(), "two minutes later there is room again");
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused() {
    let net = start().await;
    let good = serde_json::to_value(signed(&net, "sok@aclb", 1, account("sok@aclb"))).unwrap();
    let mut surprised = good.clone();
    surprised["payload"]["surprise"] = json!(1);
    let mut unknown = good.clone();
    unknown["payload"]["query"] = json!({"everything": {}});
    let url = format!("http://{}/v1/query", net.address);
    let post = |media: &'static str, body: String| {
        let request = reqwest::Client::new().post(&url).header("content-type", media);
        async move { request.body(body).send().await.unwrap().status().as_u16() }
    };
    for body in [String::new(), "{}".to_owned(), surprised.to_string(), unknown.to_string()] {
        assert_eq!(post("application/json", body).await, 400);
    }
    assert_eq!(post(SCALE, "garbage".to_owned()).await, 400);
    assert_eq!(post("text/plain", good.to_string()).await, 415);
    assert_eq!(post("application/json", good.to_string()).await, 200);

    let length =
        Query::Balances { account: "sok@aclb".parse().unwrap(), limit: Some(0), cursor: None };
    let answer = net.client.query(&signed(&net, "sok@aclb", 2, length)).await;
    assert_problem(answer, 400, "malformed");
    let cursor = json!({"balances": {"account": "sok@aclb", "cursor": "nonsense"}});
    let answer = net.client.query(&signed(&net, "sok@aclb", 3, query(cursor))).await;
    assert_problem(answer, 400, "malformed");
}
