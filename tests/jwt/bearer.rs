//! JWTs that whoever has one may present: good ones, those that are somebody else's or for somebody else, and those
//! that are none.

use chancery::wire::evidence::{KeyType, Refusal, SignatureAlgorithm, SignedJwt, Submission};
use chancery::wire::links::{AuthToAudit, AuthToWorker};
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::record::AuthEntry;
use chancery::wire::{Correlation, Millis, Secret, Text};
use nix::sys::signal::{Signal, kill};

use crate::house::{House, all_refused, keys, sam, submission};
use crate::support::jwt::{CLOUD, US, Words, at, compact, encoded, handed_on, text};
use crate::support::office::request;
use crate::support::processes::eventually;
use crate::support::signed::Client;

/// Presented as one of the cloud's, signed by this key.
fn by(jwt: &str, key: &Client) -> Submission {
    submission(handed_on(jwt, key))
}

#[test]
fn a_jwt_of_an_issuer_means_the_account_its_name_is_shaped_to() {
    let house = House::new();
    let mut worker = house.office.worker();
    let mut count = 0;
    for words in [
        sam(),
        Words::new("SAM@cloud.example"),
        // The second rule, where the first finds nothing.
        sam().without("sub").but("upn", text("sam@upn.cloud.example")),
        Words::new("elsewhere").but("upn", format!("[{}]", text("sam@upn.cloud.example"))),
        sam().but("aud", format!("[\"urn:another\",{}]", text("urn:sts"))),
        sam().headed("typ", text("JWT")).headed("kid", text("new")).headed("x5t", text("AAEC")),
        sam().but("iat", format!("{}.5", at(-1))).but("nbf", at(-5)),
        sam().but("nested", "{\"a\":[1,2.5,null,{\"b\":\"\\u0041\"}]}"),
    ] {
        let before = Millis::now();
        worker.vouched(house.presented(&words));
        let order = house.office.lodged().order;
        assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Transport));
        assert_eq!(order.authentication.method, Method::Jwt);
        // When he proved himself to the issuer, which was ten minutes ago (R-S010).
        let ago = before.0 - order.authentication.instant.0;
        assert!((590_000..620_000).contains(&ago), "{ago}");
        count += 1;
    }
    // By its other key, and another issuer's.
    worker.vouched(by(&sam().signed(&house.old), &house.old));
    let of_the_bank = Words::new("otto@cloud.example").but("iss", text("urn:bank"));
    let of_the_bank = handed_on(&of_the_bank.signed(&house.bank), &house.bank);
    worker.vouched(submission(SignedJwt { issuer: Text::new("urn:bank").unwrap(), ..of_the_bank }));
    // Without auth_time it is when the JWT was made.
    let before = Millis::now();
    worker.vouched(house.presented(&sam().without("auth_time")));
    let ago = before.0 - house.office.lodged().order.authentication.instant.0;
    assert!((-1_000..10_000).contains(&ago), "{ago}");
    let said = house.office.audit.said.lock().unwrap();
    let decisions: Vec<_> = (said.iter())
        .filter_map(|AuthToAudit::Append { entry, .. }| match entry {
            AuthEntry::Decision(decision, _) => Some((decision.method, decision.authority.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(decisions.len(), count + 3);
    assert_eq!(decisions.iter().filter(|one| **one == (Method::Jwt, Some("cloud"))).count(), count + 2);
    assert_eq!(decisions.iter().filter(|one| **one == (Method::Jwt, Some("bank"))).count(), 1);
}

#[test]
fn a_jwt_that_no_key_of_its_issuer_signed_proves_nobody_a_57() {
    let house = House::new();
    let (cloud, bank, stranger) = (&house.cloud, &house.bank, Client::new());
    let changed = |change: fn(&mut SignedJwt)| {
        let mut signed = handed_on(&sam().signed(cloud), cloud);
        change(&mut signed);
        submission(signed)
    };
    let as_the_banks = |words: Words, key: &Client| {
        let issuer = Text::new("urn:bank").unwrap();
        submission(SignedJwt { issuer, ..handed_on(&words.signed(key), key) })
    };
    let of_the_bank = || sam().but("iss", text("urn:bank"));
    let good = sam().signed(cloud);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let other = sam().but("x", "1").signed(cloud);
    let (_, anothers) = other.rsplit_once('.').unwrap();
    let with_claims = |claims: &str| {
        let [head, _, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three segments") };
        format!("{head}.{}.{signature}", encoded(claims))
    };
    all_refused(
        &house.office,
        vec![
            ("a stranger's", by(&sam().signed(&stranger), &stranger), "wrong-signature"),
            ("one issuer's, signed by the other", by(&sam().signed(bank), bank), "signature-algorithm"),
            ("one issuer's, given out for the other's", as_the_banks(sam(), cloud), "signature-algorithm"),
            ("one that says it is of the other", by(&of_the_bank().signed(cloud), cloud), "unknown-issuer"),
            ("the other's, about an account of the first", as_the_banks(of_the_bank(), bank), "no-account"),
            (
                "of nobody here",
                changed(|signed| signed.issuer = Text::new(&CLOUD[..CLOUD.len() - 1]).unwrap()),
                "unknown-issuer",
            ),
            ("with the signature of another", by(&format!("{signed}.{anothers}"), cloud), "wrong-signature"),
            ("with other claims", by(&with_claims(&sam().but("sub", text("nina")).claims()), cloud), "wrong-signature"),
            ("with none", by(&format!("{signed}."), cloud), "unreadable-jwt"),
            (
                "by an algorithm its key has not",
                changed(|signed| signed.algorithm = SignatureAlgorithm::EcdsaSha384),
                "signature-algorithm",
            ),
            (
                "by an algorithm that only its other key has",
                changed(|signed| signed.algorithm = SignatureAlgorithm::PssSha256),
                "wrong-signature",
            ),
            ("nothing", changed(|signed| signed.octets = Secret::new([]).unwrap()), "unreadable-jwt"),
        ],
    );
}

/// What a worker would have to be taken over for to hand on: it reads these with the same code.
#[test]
fn what_an_issuer_signed_is_no_jwt_unless_it_can_be_read_in_one_way_r_j020_r_j021() {
    let house = House::new();
    let cloud = &house.cloud;
    let good = sam().signed(cloud);
    let claims = sam().claims();
    let headed = |header: &str| by(&compact(header, &claims, cloud), cloud);
    let claimed = |claims: &str| by(&compact("{\"alg\":\"ES256\"}", claims, cloud), cloud);
    let evil = "\"https://evil.example/keys\"";
    all_refused(
        &house.office,
        vec![
            ("padded", by(&format!("{good}="), cloud), "unreadable-jwt"),
            ("with a line end", by(&format!("{good}\n"), cloud), "unreadable-jwt"),
            ("of four segments", by(&format!("{good}.AAEC"), cloud), "unreadable-jwt"),
            ("of two segments", by(good.rsplit_once('.').unwrap().0, cloud), "unreadable-jwt"),
            ("with jku", headed(&format!("{{\"alg\":\"ES256\",\"jku\":{evil}}}")), "unreadable-jwt"),
            ("with x5u", headed(&format!("{{\"alg\":\"ES256\",\"x5u\":{evil}}}")), "unreadable-jwt"),
            ("with jwk", headed("{\"alg\":\"ES256\",\"jwk\":{}}"), "unreadable-jwt"),
            ("with x5c", headed("{\"alg\":\"ES256\",\"x5c\":[]}"), "unreadable-jwt"),
            ("with crit", headed("{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}"), "unreadable-jwt"),
            ("with b64", headed("{\"alg\":\"ES256\",\"b64\":false}"), "unreadable-jwt"),
            ("with cty", headed("{\"alg\":\"ES256\",\"cty\":\"JWT\"}"), "unreadable-jwt"),
            ("with what nobody knows", headed("{\"alg\":\"ES256\",\"x\":1}"), "unreadable-jwt"),
            ("none", headed("{\"alg\":\"none\"}"), "unreadable-jwt"),
            ("by a secret", headed("{\"alg\":\"HS256\"}"), "unreadable-jwt"),
            ("by another algorithm than was tried", headed("{\"alg\":\"ES384\"}"), "signature-algorithm"),
            ("an algorithm twice", headed("{\"alg\":\"ES256\",\"alg\":\"ES256\"}"), "unreadable-jwt"),
            ("by a key of another name", headed("{\"alg\":\"ES256\",\"kid\":\"old\"}"), "wrong-signature"),
            ("by a key of somewhere", headed("{\"alg\":\"ES256\",\"kid\":\"../../new\"}"), "wrong-signature"),
            (
                "by a key of one that has no name",
                by(&sam().headed("kid", "\"new\"").signed(&house.old), &house.old),
                "wrong-signature",
            ),
            ("a header that is no JSON", headed("alg=ES256"), "unreadable-jwt"),
            ("claims that are no JSON", claimed("sub=sam"), "unreadable-jwt"),
            ("claims that are a list", claimed("[]"), "unreadable-jwt"),
            ("a name twice", by(&sam().and("sub", text("nina@cloud.example")).signed(cloud), cloud), "unreadable-jwt"),
            (
                "a name twice by an escape",
                by(&sam().and("\\u0073ub", text("nina@cloud.example")).signed(cloud), cloud),
                "unreadable-jwt",
            ),
            (
                "an issuer twice by an escape",
                by(&sam().and("\\u0069ss", text("urn:bank")).signed(cloud), cloud),
                "unreadable-jwt",
            ),
            (
                "a member twice deep inside",
                by(&sam().but("x", "[{\"a\":{\"b\":1,\"b\":1}}]").signed(cloud), cloud),
                "unreadable-jwt",
            ),
            (
                "too deep",
                by(&sam().but("x", format!("{}{}", "[".repeat(9), "]".repeat(9))).signed(cloud), cloud),
                "unreadable-jwt",
            ),
            (
                "too much",
                by(&sam().but("x", format!("[{}0]", "0,".repeat(2000))).signed(cloud), cloud),
                "unreadable-jwt",
            ),
        ],
    );
}

#[test]
fn a_jwt_of_another_kind_is_not_taken_for_this_one_r_j022() {
    let cases = |house: &House, typs: &[&'static str]| -> Vec<(&'static str, Submission, &'static str)> {
        let of = |typ: &&'static str| (*typ, house.presented(&sam().headed("typ", text(typ))), "jwt-type");
        typs.iter().map(of).collect()
    };
    let house = House::new();
    let others = ["at+jwt", "dpop+jwt", "application/at+jwt", "secevent+jwt", "logout+jwt", ""];
    all_refused(&house.office, cases(&house, &others));
    house.office.worker().vouched(house.presented(&sam().headed("typ", text("Jwt"))));
    let house = House::with("typ = \"at+jwt\"");
    let mut others = cases(&house, &["JWT", "dpop+jwt"]);
    others.push(("none", house.presented(&sam()), "jwt-type"));
    all_refused(&house.office, others);
    house.office.worker().vouched(house.presented(&sam().headed("typ", text("AT+JWT"))));
}

#[test]
fn a_jwt_holds_from_its_beginning_to_its_end_r_j023() {
    let more = "skew_s = 60\nmax_age_min = 30\nmax_session_min = 60";
    let house = House::with(more);
    let with = |name: &str, seconds: i64| sam().but(name, at(seconds));
    let mut worker = house.office.worker();
    for (what, words) in [
        ("begins when clocks differ", with("nbf", 50)),
        ("ended when clocks differ", with("exp", -50)),
        ("made when clocks differ", with("iat", 50)),
        ("nearly too old", with("iat", -30 * 60 - 50).without("auth_time")),
        ("authenticated nearly too long ago", with("auth_time", -3590)),
        ("good for ever, for all it says", sam().but("exp", "253402300799")),
    ] {
        let AuthToWorker::Vouched(_) = worker.ask(house.presented(&words)) else { panic!("refused: {what}") };
        assert!(house.office.lodged().order.authentication.instant <= Millis::now(), "{what}");
    }
    let house = House::with(more);
    let presented = |words: Words| house.presented(&words);
    all_refused(
        &house.office,
        vec![
            ("not yet", presented(with("nbf", 70)), "jwt-dates"),
            ("not any more", presented(with("exp", -61)), "jwt-dates"),
            ("made tomorrow", presented(with("iat", 86_400)), "jwt-dates"),
            ("too old", presented(with("iat", -31 * 60 - 5)), "jwt-dates"),
            ("authenticated too long ago", presented(with("auth_time", -3601)), "jwt-dates"),
            ("without an end", presented(sam().without("exp")), "unreadable-jwt"),
            ("without a beginning", presented(sam().without("iat")), "unreadable-jwt"),
            ("an end that is text", presented(sam().but("exp", text(&at(300)))), "unreadable-jwt"),
            ("an end that is negative", presented(sam().but("exp", "-1")), "unreadable-jwt"),
            ("an end beyond all", presented(sam().but("exp", "1e300")), "unreadable-jwt"),
            ("an end that is no number", presented(sam().but("exp", "1e400")), "unreadable-jwt"),
            ("a beginning before there were clocks", presented(sam().but("nbf", "-1")), "unreadable-jwt"),
        ],
    );
}

#[test]
fn what_is_got_by_a_jwt_ends_with_the_session_at_the_issuer() {
    let house = House::with("max_session_min = 12");
    let begun = Millis::now();
    house.office.worker().vouched(house.presented(&sam()));
    let left = house.office.lodged().order.latest_expiry.0 - begun.0;
    assert!((100_000..=120_000).contains(&left), "ten minutes of twelve are over: {left}");
}

#[test]
fn a_jwt_is_for_us_r_j001_r_j010() {
    let house = House::new();
    let to = |aud: String| house.presented(&sam().but("aud", aud));
    all_refused(
        &house.office,
        vec![
            ("for another", to(text("https://rp.example.com/")), "audience"),
            ("for another spelling of us", to(text(&US[..US.len() - 1])), "audience"),
            ("for others", to("[\"urn:a\",\"urn:b\"]".to_owned()), "audience"),
            ("for nobody", to("[]".to_owned()), "audience"),
            ("for us in a list in a list", to(format!("[[{}]]", text(US))), "unreadable-jwt"),
            ("for anybody", house.presented(&sam().without("aud")), "unreadable-jwt"),
        ],
    );
    let house = House::with("sole_audience = true");
    let two = sam().but("aud", format!("[{},\"urn:another\"]", text(US)));
    all_refused(&house.office, vec![("for us and another", house.presented(&two), "audience")]);
    house.office.worker().vouched(house.presented(&sam().but("aud", format!("[{}]", text(US)))));
}

#[test]
fn an_issuer_names_only_accounts_that_say_it_may_a_60() {
    let house = House::new();
    let named = |name: &str| house.presented(&Words::new(name));
    let upn = |value: &str| house.presented(&Words::new("elsewhere").but("upn", value));
    all_refused(
        &house.office,
        vec![
            ("an account of the other issuer", named("otto@cloud.example"), "no-account"),
            ("an account with a password", named("bob@cloud.example"), "no-account"),
            ("no account", named("nora@cloud.example"), "no-account"),
            ("without a name", house.presented(&sam().without("sub")), "no-account"),
            ("a name of elsewhere", named("sam@cloud.example.evil"), "no-account"),
            ("a name of elsewhere before it", named("x sam@cloud.example"), "no-account"),
            ("a name with a line end", named("sam@cloud.example\\n"), "no-account"),
            ("a name with nothing in it", named("sam\\u0000@cloud.example"), "no-account"),
            ("letters that only look so", named("\u{17f}am@cloud.example"), "no-account"),
            ("a name that is a number", house.presented(&sam().but("sub", "7")), "no-account"),
            (
                "a name that is an object",
                house.presented(&sam().but("sub", "{\"a\":\"sam@cloud.example\"}")),
                "no-account",
            ),
            ("disabled", named("kim@cloud.example"), "disabled"),
            ("two", upn("[\"sam@upn.cloud.example\",\"nina@upn.cloud.example\"]"), "no-account"),
            ("one that is not plain", upn("[\"sam@upn.cloud.example\",\"x\\n\"]"), "no-account"),
            ("one that is not text", upn("[\"sam@upn.cloud.example\",1]"), "no-account"),
        ],
    );
}

#[test]
fn what_an_issuer_says_of_its_subject_is_for_claims_and_policies_to_use() {
    let rule = "[[jwt_issuer.attribute]]\nfrom = \"groups\"\nto = \"role\"\ncapture = '(.*)@cloud'\ncase = \"lower\"";
    let house = House::with(rule);
    let with = |value: &str| sam().but("groups", value);
    let mut worker = house.office.worker();
    for (words, roles) in [
        (sam(), &[][..]),
        (with("[\"Auditor@cloud\",\"guest@elsewhere\",\"\",\"clerk@cloud\"]"), &["auditor", "clerk"]),
        (with("\"one@cloud\""), &["one"]),
        (with("[]"), &[]),
        // What it says under our own names is not asked for.
        (sam().but("role", "[\"a@cloud\"]").but("floor", "[\"9@cloud\"]"), &[]),
    ] {
        worker.vouched(house.presented(&words));
        let claims = house.office.lodged().order.claims;
        let said = |uri: &str| -> Vec<String> {
            let claim = claims.iter().filter(|claim| claim.uri.as_str() == uri);
            claim.flat_map(|claim| claim.values.iter().map(|value| value.to_string())).collect()
        };
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        assert_eq!((said("urn:role"), said("urn:floor")), (roles, vec!["3".to_owned()]));
    }
    assert_eq!(worker.refused(house.presented(&with("\"visitor@cloud\""))), Refusal::RequestFailed);
    assert_eq!(house.office.decisions().pop().unwrap(), (false, "policy".to_owned()));
    let house = House::with(rule);
    let many: Vec<String> = (0..257).map(|number| format!("\"{number}@cloud\"")).collect();
    all_refused(
        &house.office,
        vec![
            ("not text", house.presented(&with("[\"a@cloud\",true]")), "unreadable-jwt"),
            ("an object", house.presented(&with("{\"a\":\"a@cloud\"}")), "unreadable-jwt"),
            ("too many", house.presented(&with(&format!("[{}]", many.join(",")))), "unreadable-jwt"),
            ("too long", house.presented(&with(&format!("\"{}@cloud\"", "x".repeat(4097)))), "unreadable-jwt"),
            ("not of XML", house.presented(&with("\"\\u0001@cloud\"")), "unreadable-jwt"),
        ],
    );
}

#[test]
fn only_algorithms_that_the_issuer_is_to_use_are_taken_a_12() {
    let house = House::with("algorithms = [\"RS384\", \"ES256\"]");
    house.office.worker().vouched(house.presented(&sam()));
    let of_the_old = by(&sam().signed(&house.old), &house.old);
    let source = [192, 0, 2, 99].into();
    let refused = house.office.worker().refused(Submission { source, ..of_the_old });
    assert_eq!(refused, Refusal::FailedAuthentication);
    let reason = eventually("the refusal is in the record", || crate::house::reasons(&house.office).remove(&source));
    assert_eq!(reason, "signature-algorithm");
}

#[test]
fn keys_are_read_again_on_a_reload_and_those_that_went_prove_nothing() {
    let house = House::new();
    let mut worker = house.office.worker();
    let newest = Client::new();
    worker.vouched(house.presented(&sam()));
    assert_eq!(worker.refused(by(&sam().signed(&newest), &newest)), Refusal::FailedAuthentication);
    house.office.write("cloud.json", &keys(&[(&newest, "")]));
    kill(house.office.auth().pid(), Signal::SIGHUP).unwrap();
    eventually("the new key is taken", || {
        matches!(worker.ask(by(&sam().signed(&newest), &newest)), AuthToWorker::Vouched(_)).then_some(())
    });
    assert_eq!(worker.refused(house.presented(&sam())), Refusal::FailedAuthentication);
    // A set that nobody should have leaves everything as it is.
    house.office.write("cloud.json", &keys(&[(&house.cloud, ",\"d\":\"AAEC\"")]));
    kill(house.office.auth().pid(), Signal::SIGHUP).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    worker.vouched(by(&sam().signed(&newest), &newest));
    assert_eq!(worker.refused(house.presented(&sam())), Refusal::FailedAuthentication);
}

#[test]
fn a_jwt_is_taken_where_an_endpoint_says_so() {
    let house = House::new();
    let at_password = Submission { endpoint: Text::new("/password").unwrap(), ..house.presented(&sam()) };
    assert_eq!(house.office.worker().refused(at_password), Refusal::UnsupportedSecurityToken);
    let password = Submission { endpoint: Text::new("/jwt").unwrap(), ..request("bob", "wonderland") };
    assert_eq!(house.office.worker().refused(password), Refusal::UnsupportedSecurityToken);
}

#[test]
fn whoever_has_a_jwt_has_no_key_to_bind_a_token_to() {
    let house = House::new();
    let mut sent = house.presented(&sam());
    sent.wish.key_type = Some(KeyType::Public);
    assert_eq!(house.office.worker().refused(sent), Refusal::InvalidRequest);
    assert_eq!(house.office.decisions(), [(false, "unproven-key".to_owned())]);
}

#[test]
fn a_jwt_with_an_id_is_good_once_also_when_auth_was_restarted_a_33() {
    let mut house = House::new();
    let once = sam().but("jti", text("one"));
    house.office.worker().vouched(house.presented(&once));
    assert_eq!(house.office.worker().refused(house.presented(&once)), Refusal::InvalidSecurity);
    // Signed by another key, with other claims, spelled in another way: the same id.
    let again = by(&sam().but("jti", text("\\u006fne")).but("x", "1").signed(&house.old), &house.old);
    assert_eq!(house.office.worker().refused(again), Refusal::InvalidSecurity);
    house.office.worker().vouched(house.presented(&sam().but("jti", text("two"))));
    // One without an id is good for as long as it holds.
    house.office.worker().vouched(house.presented(&sam()));
    house.office.worker().vouched(house.presented(&sam()));
    // The same id of another issuer is another one.
    let other = Words::new("otto@cloud.example").but("iss", text("urn:bank")).but("jti", text("one"));
    let issuer = Text::new("urn:bank").unwrap();
    let other = SignedJwt { issuer, ..handed_on(&other.signed(&house.bank), &house.bank) };
    house.office.worker().vouched(submission(other));
    kill(house.office.auth().pid(), Signal::SIGKILL).unwrap();
    house.office.start();
    assert_eq!(house.office.worker().refused(house.presented(&once)), Refusal::InvalidSecurity);
}

#[test]
fn every_jwt_of_an_issuer_has_an_id_where_its_table_says_so() {
    let house = House::with("replay = \"once\"");
    all_refused(&house.office, vec![("without an id", house.presented(&sam()), "unreadable-jwt")]);
    let words = sam().but("jti", text("one"));
    house.office.worker().vouched(house.presented(&words));
    assert_eq!(house.office.worker().refused(house.presented(&words)), Refusal::InvalidSecurity);
}

#[test]
fn one_of_many_who_present_a_jwt_at_once_is_served_r_w080() {
    let house = House::new();
    let words = sam().but("jti", text("one"));
    let mut worker = house.office.worker();
    let sent: Vec<Correlation> = (0..16)
        .map(|_| {
            let submission = house.presented(&words);
            let correlation = submission.correlation;
            worker.submit(submission);
            correlation
        })
        .collect();
    let served = sent.into_iter().filter(|one| matches!(worker.answer(*one), AuthToWorker::Vouched(_))).count();
    assert_eq!(served, 1);
}
