//! Errors are told by the codes that were promised, where the routine in force names others for them.

use serde_json::{Value, json};
use stipula::domain::message::Verdict;
use stipula::live::{Mode, ToolBinding};

use crate::rig::{Answer, CALL, Rig, bound, routine, soon, tool};

fn recoding() -> ToolBinding {
    let errors = json!([{"from": "NOT_FOUND", "to": "E404"}, {"from": "4040", "to": "404"},
        {"from": "5", "to": "five"}, {"from": "-32603", "to": "1"}, {"from": "6", "to": "-32603"}]);
    ToolBinding { routine: routine(json!({ "errors": errors })), ..tool() }
}

fn failed(error: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0", "id":7,"error":{error}}}"#)
}

fn refused(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0", "id":7,"result":{{"isError":true,{result}}}}}"#)
}

/// What leaves without the verdict, and the verdict.
fn apart(mut told: Value) -> (Value, Value) {
    let place = match told.get("error") {
        Some(_) => "/error/data",
        None => "/result/_meta",
    };
    let holder = told.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
    let note = holder.shift_remove("dev.stipula/verdict").unwrap();
    if holder.is_empty() {
        let (above, last) = place.rsplit_once('/').unwrap();
        told.pointer_mut(above).unwrap().as_object_mut().unwrap().shift_remove(last);
    }
    (told, note)
}

#[tokio::test]
async fn an_error_is_told_by_the_promised_code() {
    let rows = [
        (failed(r#"{"code":4040,"message":"m"}"#), failed(r#"{"code":404,"message":"m"}"#)),
        (
            failed(r#"{"code":-32603,"message":"m","data":{"code":"NOT_FOUND","x":1.50}}"#),
            failed(r#"{"code":-32603,"message":"m","data":{"code":"E404","x":1.50}}"#),
        ),
        (
            refused(r#""structuredContent":{"code":"NOT_FOUND","at":"NOT_FOUND"}"#),
            refused(r#""structuredContent":{"code":"E404","at":"NOT_FOUND"}"#),
        ),
        (
            refused(
                r#""structuredContent":{"error":{"code":4040}},"content":[{"type":"text","text":"{\"error\": {\"code\":4040}}"},{"type":"text","text":"NOT_FOUND"}]"#,
            ),
            refused(
                r#""structuredContent":{"error":{"code":404}},"content":[{"type":"text","text":"{\"error\": {\"code\":404}}"},{"type":"text","text":"NOT_FOUND"}]"#,
            ),
        ),
        (
            refused(r#""content":[{"type":"text","text":"{\"error\":\"NOT_FOUND\"}"}]"#),
            refused(r#""content":[{"type":"text","text":"{\"error\":\"E404\"}"}]"#),
        ),
    ];
    for (came, expected) in rows {
        let answer = came.clone();
        let mut rig = Rig::new(Some(bound(recoding())), move |_| Answer::json(&answer)).await;
        let told = rig.post(CALL).await;
        assert!(String::from_utf8_lossy(&told.text).starts_with(r#"{"jsonrpc":"2.0", "id":7,"#));
        let (told, note) = apart(told.json());
        assert_eq!(told, serde_json::from_str::<Value>(&expected).unwrap(), "{came}");
        assert_eq!(note["verdict"], "mended", "{came}");
        let fact = soon(rig.fact()).await;
        assert_eq!((fact.verdict, fact.is_error), (Verdict::Mended, true), "{came}");
    }
}

#[tokio::test]
async fn what_no_row_names_leaves_as_the_bytes_that_came() {
    let rows = [
        failed(r#"{"code":-32603,"message":"NOT_FOUND"}"#),
        failed(r#"{"code":6,"message":"m"}"#),
        failed(r#"{"code":5,"message":"m"}"#),
        failed(r#"{"code":404,"message":"m","data":"NOT_FOUND"}"#),
        refused(r#""content":[{"type":"text","text":"NOT_FOUND: no such flight"}]"#),
        refused(r#""structuredContent":{"errors":[{"code":"NOT_FOUND"}]}"#),
        r#"{"jsonrpc":"2.0","id":7,"result":{"structuredContent":{"price":1,"code":"NOT_FOUND"}}}"#
            .to_owned(),
    ];
    for came in rows {
        let answer = came.clone();
        let rig = Rig::new(Some(bound(recoding())), move |_| Answer::json(&answer)).await;
        assert_eq!(&rig.post(CALL).await.text[..], came.as_bytes());
    }
    let came = failed(r#"{"code":4040,"message":"m"}"#);
    for mode in [Mode::Observe, Mode::Warn] {
        let (answer, watched) = (came.clone(), ToolBinding { mode, ..recoding() });
        let rig = Rig::new(Some(bound(watched)), move |_| Answer::json(&answer)).await;
        assert_eq!(&rig.post(CALL).await.text[..], came.as_bytes(), "{mode:?}");
    }
}
