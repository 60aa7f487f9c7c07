//! Tokens: the words of the language, as slices of the text.

/// A slice of the text of a template, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// The bytes it stands for.
    pub(super) fn of(self, source: &[u8]) -> &[u8] {
        source.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A word, where it is, and the line it starts in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
    pub(super) line: u32,
}

/// What kind of word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum TokenKind {
    /// Something that is no word; the lexer keeps the message.
    Error,
    #[default]
    End,
    Text,
    LeftDelimiter,
    RightDelimiter,
    LeftParen,
    RightParen,
    Space,
    Pipe,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    /// Any other printable ASCII character, such as a comma.
    Char,
    Bool,
    CharConstant,
    Number,
    Complex,
    String,
    RawString,
    /// `.name`
    Field,
    Identifier,
    /// `$` or `$name`
    Variable,
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    EndKeyword,
    If,
    Range,
    Template,
    With,
}

impl TokenKind {
    /// The keyword or literal that a whole word is.
    pub(super) fn of_word(word: &[u8]) -> TokenKind {
        match word {
            b"true" | b"false" => TokenKind::Bool,
            b"nil" => TokenKind::Nil,
            b"block" => TokenKind::Block,
            b"break" => TokenKind::Break,
            b"continue" => TokenKind::Continue,
            b"define" => TokenKind::Define,
            b"else" => TokenKind::Else,
            b"end" => TokenKind::EndKeyword,
            b"if" => TokenKind::If,
            b"range" => TokenKind::Range,
            b"template" => TokenKind::Template,
            b"with" => TokenKind::With,
            _ => TokenKind::Identifier,
        }
    }

    /// Keywords (and the dot) are shown in angle brackets by errors.
    pub(super) fn is_keyword(self) -> bool {
        use TokenKind::*;
        matches!(self, Dot | Nil | Block | Break | Continue | Define | Else | EndKeyword | If | Range | Template | With)
    }
}
