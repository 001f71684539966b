//! Policies in few words, so that one that JSON-LD processing has reshaped can be compared with ours: names without prefixes, one value
//! or a list of one alike, order kept.

use serde_json::Value;

/// Every rule with its constraints, one text each: `permission use: purpose eq X; …`.
pub fn rules(policy: &Value) -> Vec<String> {
    ["permission", "prohibition", "obligation"]
        .iter()
        .flat_map(|kind| {
            let rules = many(member(policy, kind));
            rules.into_iter().map(move |rule| {
                let constraints: Vec<String> = many(member(rule, "constraint")).into_iter().map(constraint).collect();
                format!("{kind} {}: {}", name(member(rule, "action")), constraints.join("; "))
            })
        })
        .collect()
}

fn constraint(value: &Value) -> String {
    for logical in ["and", "or", "xone", "andSequence"] {
        let inner = member(value, logical);
        if !inner.is_null() {
            let parts: Vec<String> = many(inner).into_iter().map(constraint).collect();
            return format!("{logical}({})", parts.join("; "));
        }
    }
    let right: Vec<String> = many(member(value, "rightOperand")).into_iter().map(name).collect();
    let part = |which: &str| name(member(value, which));
    format!("{} {} {}", part("leftOperand"), part("operator"), right.join(", "))
}

/// A member under its plain or its prefixed name.
fn member<'a>(value: &'a Value, plain: &str) -> &'a Value {
    let found = value.get(plain).or_else(|| value.get(format!("odrl:{plain}")));
    found.unwrap_or(&Value::Null)
}

fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}

fn name(value: &Value) -> String {
    let inner = value.get("@id").or_else(|| value.get("@value")).unwrap_or(value);
    let text = inner.as_str().map_or_else(|| inner.to_string(), str::to_owned);
    let prefixes = ["odrl:", "http://www.w3.org/ns/odrl/2/"];
    let short = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    short.map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_reads_alike_before_and_after_json_ld_and_other_terms_do_not() {
        let ours = json!({"permission": [{"action": "use", "constraint": [
            {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": "x"}, {"or": [
                {"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"}]}]}]});
        let theirs = json!({"odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": [
            {"odrl:leftOperand": {"@id": "odrl:purpose"}, "odrl:operator": {"@id": "odrl:eq"}, "odrl:rightOperand": "x"}, {"odrl:or": {
                "odrl:leftOperand": {"@id": "dases:consent"}, "odrl:operator": {"@id": "odrl:eq"}, "odrl:rightOperand": {"@value": "given"}}}]},
            "odrl:prohibition": [], "odrl:obligation": []});
        assert_eq!(rules(&ours), rules(&theirs));
        assert_eq!(
            rules(&ours),
            ["permission use: purpose eq x; or(dases:consent eq given)"]
        );
        let other = json!({"permission": [{"action": "use"}]});
        assert_ne!(rules(&ours), rules(&other));
    }
}
