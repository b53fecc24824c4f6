//! What every picture in SVG needs, whatever it shows.

/// A text between tags or quotes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Not allowed in any form, but for these.
            char if char.is_control() && !"\t\n\r".contains(char) => escaped.push('?'),
            char => escaped.push(char),
        }
    }
    escaped
}

/// A number with one digit behind the point, if that is not 0.
#[must_use]
pub fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The next larger of …, 0.1, 0.2, 0.5, 1, 2, 5, 10, …: where an axis may end. 1 for what is not above 0.
#[must_use]
pub fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    let ends = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
    // A decade that was rounded down by a hair leaves its value just above the last one.
    ends.into_iter()
        .find(|end| *end >= value * (1.0 - 1e-9))
        .unwrap_or(20.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_it() {
        assert_eq!(escaped("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot;?");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([number(0.0), number(12.34), number(7.96)], ["0", "12.3", "8"]);
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        let ends = [0.0, 0.4, 1.0, 1.5, 4.0, 7.0, 11.0, 480.0, 501.0].map(round_up);
        assert_eq!(ends, [1.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 500.0, 1_000.0]);
    }
}
