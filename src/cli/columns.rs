//! Tables as Helm prints them: columns padded with blanks and parted by tabs, long cells cut.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Rows of cells as text without a line break at the end; the first row is the heading. A cell is at most `widest`
/// columns wide.
pub(super) fn columns(rows: &[Vec<String>], widest: usize) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width().min(widest)).max().unwrap_or_default()
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| fit(cell, *width));
        cells.collect::<Vec<_>>().join("\t")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn fit(cell: &str, width: usize) -> String {
    let own = cell.width();
    if own <= width {
        return format!("{cell}{}", " ".repeat(width - own));
    }
    let (mut out, mut taken) = (String::new(), 0);
    for letter in cell.chars() {
        out.push(letter);
        let wide = letter.width().unwrap_or_default();
        if taken + wide + 3 >= width {
            break;
        }
        taken += wide;
    }
    out + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_padded_and_cut() {
        let rows = [["NAME", "WHAT"], ["a", "a long description"], ["äöü-x", ""]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        assert_eq!(columns(&rows, 10), "NAME \tWHAT      \na    \ta long ...\näöü-x\t          ");
        assert_eq!(columns(&[], 10), "");
    }
}
