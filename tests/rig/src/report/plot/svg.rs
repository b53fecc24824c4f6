//! What SVG wants.

/// A text between tags or quotes.
pub(super) fn escaped(text: &str) -> String {
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
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
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
}
