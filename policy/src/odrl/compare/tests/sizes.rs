//! Sizes, on one axis and on all.

use super::*;

const AXES: &str = "http://w3id.org/odrl/spatial-axis#";

#[test]
fn a_size_is_not_negative_on_any_axis_and_a_position_may_be() {
    let at = |left: &str, operator, right| permits(vec![atom("c", left, operator, &[right])]);
    let (width, height, altitude) = (
        format!("{AXES}absoluteSizeWidth"),
        format!("{AXES}relativeSizeHeight"),
        format!("{AXES}spatialCoordinatesAltitude"),
    );
    let possible = |policy: &Policy| matches!(satisfiable(policy, &Concepts::new()), Answer::Possible(_));
    for left in [&width, &height, "absoluteSize"] {
        assert!(!possible(&at(left, "lt", "0^^decimal")), "{left}");
        assert!(possible(&at(left, "lteq", "0^^decimal")), "{left}");
        let (less, more) = (at(left, "lteq", "9^^decimal"), at(left, "gteq", "0^^decimal"));
        assert_eq!(within(&less, &more, &Concepts::new()), Within::Yes, "{left}");
    }
    assert!(possible(&at(&altitude, "lt", "0^^decimal")));
}
