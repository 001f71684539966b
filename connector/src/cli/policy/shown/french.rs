//! The details of two policies compared, in French: the verdicts and the places. What they are is decided in `policy::odrl::compare`.

use policy::odrl::compare::{Answer, Comparison, Contradiction, Request, Stated, Verdict, Why, Within};
use std::fmt::Write;

/// The verdicts of the detailed comparison.
pub(super) fn in_detail(found: &Comparison) -> String {
    let verdict = match &found.common {
        Answer::Possible(request) => format!("Compatibles. Toutes deux permettent, par exemple : {}", wanted(request)),
        Answer::Impossible(ids) if ids.is_empty() => "Conflit. L’une d’elles n’a aucune permission.".to_owned(),
        Answer::Impossible(ids) => format!("Conflit. Rien ne remplit à la fois {}", ids.join(", ")),
        Answer::Unknown(why) => format!("On ne sait pas : {}", not_known(why)),
    };
    let mut text = format!("{verdict}\n");
    for (title, one) in [("Première", &found.first), ("Seconde", &found.second)] {
        let _ = writeln!(text, "{title} politique, {} :", one.id);
        let permits = match &one.satisfiable {
            Answer::Possible(request) => format!("elle permet, par exemple : {}", wanted(request)),
            Answer::Impossible(ids) if ids.is_empty() => "elle ne permet rien : elle n’a aucune permission".to_owned(),
            Answer::Impossible(ids) => format!("elle ne permet rien, à cause de {}", ids.join(", ")),
            Answer::Unknown(why) => format!("on ne sait pas si elle permet quelque chose ({})", not_known(why)),
        };
        let _ = writeln!(text, "  {permits}");
        contradictions(&mut text, &one.contradiction);
        let within = match &one.within_other {
            Within::Yes => "tout ce qu’elle permet, l’autre le permet aussi".to_owned(),
            Within::No { request, .. } => format!("elle seule permet : {}", wanted(request)),
            Within::Unknown(why) => format!("on ne sait pas si l’autre permet tout cela ({})", not_known(why)),
        };
        let _ = writeln!(text, "  {within}");
    }
    if !found.operands.is_empty() {
        text.push_str("Critères :\n");
    }
    for operand in &found.operands {
        let overlap = match operand.overlap {
            Verdict::Conflict => "en conflit",
            Verdict::Unknown => "inconnu",
            Verdict::Compatible => "compatibles",
        };
        let within = match operand.contained {
            Verdict::Compatible => "la première reste dans la seconde",
            Verdict::Conflict => "la première va au-delà de la seconde",
            Verdict::Unknown => "on ne sait pas laquelle est la plus large",
        };
        let one = if operand.in_both {
            ""
        } else {
            " ; une seule politique en parle"
        };
        let _ = writeln!(text, "  {} : {overlap}, {within}{one}", operand.operand);
    }
    text
}

fn contradictions(text: &mut String, found: &Contradiction) {
    for overlap in &found.overlaps {
        let (permission, prohibition) = (&overlap.permission, &overlap.prohibition);
        let request = wanted(&overlap.request);
        let _ = writeln!(text, "  {permission} permet et {prohibition} interdit : {request}");
    }
    for (permission, prohibition, why) in &found.undecided {
        let why = not_known(why);
        let _ = writeln!(
            text,
            "  on ne sait pas si {permission} et {prohibition} se rencontrent ({why})"
        );
    }
    for (rule, ids) in &found.dead {
        let _ = writeln!(text, "  {rule} ne s’applique jamais, à cause de {}", ids.join(", "));
    }
}

/// A request in French. Names and values stay as they are.
fn wanted(request: &Request) -> String {
    let facts = request.facts.iter().map(|fact| {
        let value = match &fact.value {
            Stated::Other => "autre".to_owned(),
            Stated::Nothing => "non indiqué".to_owned(),
            Stated::All(values) => {
                let each = values.iter().map(|value| Stated::One(value.clone(), None).to_string());
                each.collect::<Vec<_>>().join(" et ")
            }
            one @ Stated::One(..) => one.to_string(),
        };
        format!("{} {value}", fact.operand)
    });
    let facts: Vec<String> = facts.collect();
    if facts.is_empty() {
        "n’importe quelle demande".to_owned()
    } else {
        facts.join(", ")
    }
}

fn not_known(why: &Why) -> String {
    match why {
        Why::TooLarge => "les conditions ont plus de cas que l’on n’en examine".to_owned(),
        Why::TooDeep => "les conditions sont trop imbriquées".to_owned(),
        Why::NotUnderstood { operand, .. } => format!("{operand} : rien ici ne permet d’en juger"),
    }
}
