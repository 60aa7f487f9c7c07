//! Makes events of tokens: what begins, what ends, and the scalars between.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::scan::{Broken, Mark, Scanner, Token};

/// One step through a text. Anchors are numbered from 1; 0 is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event<'a> {
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias(usize),
    Scalar {
        text: Cow<'a, str>,
        /// Neither quoted nor in a block.
        plain: bool,
        anchor: usize,
        tag: Option<String>,
    },
    ListStart(usize),
    ListEnd,
    MappingStart(usize),
    MappingEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    DocumentStart { first: bool },
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockEntry { first: bool },
    IndentlessEntry,
    BlockKey { first: bool },
    BlockValue,
    FlowEntry { first: bool },
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowKey { first: bool },
    FlowValue,
    FlowNoValue,
    End,
}

const CORE_TAGS: &str = "tag:yaml.org,2002:";

pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    state: State,
    states: Vec<State>,
    anchors: BTreeMap<&'a str, usize>,
    n_anchors: usize,
    tags: Vec<(&'a str, &'a str)>,
}

type Step<'a> = Result<(Event<'a>, Mark), Broken>;

fn broken<'a>(mark: Mark, message: &'static str) -> Step<'a> {
    Err(Broken { mark, message: Cow::Borrowed(message), go: None })
}

fn empty<'a>(mark: Mark) -> (Event<'a>, Mark) {
    (Event::Scalar { text: Cow::Borrowed(""), plain: true, anchor: 0, tag: None }, mark)
}

impl<'a> Parser<'a> {
    /// Begins at a line.
    pub(super) fn new(text: &'a str, line: usize) -> Self {
        Parser {
            scanner: Scanner::new(text, line),
            state: State::DocumentStart { first: true },
            states: Vec::new(),
            anchors: BTreeMap::new(),
            n_anchors: 0,
            tags: Vec::new(),
        }
    }

    pub(super) fn next(&mut self) -> Step<'a> {
        match self.state {
            State::DocumentStart { first } => self.document_start(first),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(true, false),
            State::BlockEntry { first } => self.block_entry(first),
            State::IndentlessEntry => self.indentless_entry(),
            State::BlockKey { first } => self.block_key(first),
            State::BlockValue => self.block_value(),
            State::FlowEntry { first } => self.flow_entry(first),
            State::FlowPairKey => self.flow_pair_key(),
            State::FlowPairValue => self.flow_pair_value(),
            State::FlowPairEnd => {
                self.state = State::FlowEntry { first: false };
                let (_, mark) = self.scanner.peek()?;
                Ok((Event::MappingEnd, mark))
            }
            State::FlowKey { first } => self.flow_key(first),
            State::FlowValue => self.flow_value(),
            State::FlowNoValue => {
                self.state = State::FlowKey { first: false };
                let (_, mark) = self.scanner.peek()?;
                Ok(empty(mark))
            }
            State::End => Ok((Event::StreamEnd, self.scanner.mark())),
        }
    }

    fn pop(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    /// A node, after which the parser goes on in a state.
    fn node_then(&mut self, state: State, block: bool, indentless: bool) -> Step<'a> {
        self.states.push(state);
        self.node(block, indentless)
    }

    fn empty_then(&mut self, state: State, mark: Mark) -> Step<'a> {
        self.state = state;
        Ok(empty(mark))
    }

    fn document_start(&mut self, first: bool) -> Step<'a> {
        if !first {
            while matches!(self.scanner.peek()?, (Token::DocumentEnd, _)) {
                self.scanner.take();
            }
        }
        let start = self.scanner.peek()?.1;
        self.anchors.clear();
        self.tags.clear();
        let mut directives = false;
        loop {
            let (token, mark) = self.scanner.peek()?;
            match token {
                Token::VersionDirective => {}
                Token::TagDirective(handle, prefix) => self.tags.push((*handle, *prefix)),
                Token::DocumentStart => {
                    self.scanner.take();
                    self.states.push(State::DocumentEnd);
                    self.state = State::DocumentContent;
                    return Ok((Event::DocumentStart, start));
                }
                Token::StreamEnd if !directives => {
                    self.state = State::End;
                    return Ok((Event::StreamEnd, mark));
                }
                _ if first && !directives => {
                    self.states.push(State::DocumentEnd);
                    self.state = State::BlockNode;
                    return Ok((Event::DocumentStart, start));
                }
                _ => return broken(mark, "a document begins with `---` here"),
            }
            directives = true;
            self.scanner.take();
        }
    }

    fn document_content(&mut self) -> Step<'a> {
        let (token, mark) = self.scanner.peek()?;
        match token {
            Token::VersionDirective
            | Token::TagDirective(..)
            | Token::DocumentStart
            | Token::DocumentEnd
            | Token::StreamEnd => {
                self.pop();
                Ok(empty(mark))
            }
            _ => self.node(true, false),
        }
    }

    fn document_end(&mut self) -> Step<'a> {
        let (token, mark) = self.scanner.peek()?;
        if matches!(token, Token::DocumentEnd) {
            self.scanner.take();
        }
        self.state = State::DocumentStart { first: false };
        Ok((Event::DocumentEnd, mark))
    }

    fn register(&mut self, name: &'a str) -> usize {
        self.n_anchors += 1;
        self.anchors.insert(name, self.n_anchors);
        self.n_anchors
    }

    fn tag(&self, handle: &str, suffix: &str, mark: Mark) -> Result<String, Broken> {
        let known = self.tags.iter().find(|(known, _)| *known == handle).map(|(_, prefix)| *prefix);
        let prefix = match (known, handle) {
            (Some(prefix), _) => prefix,
            (None, "" | "!") => handle,
            (None, "!!") => CORE_TAGS,
            (None, _) => {
                return Err(Broken { mark, message: Cow::Borrowed("a tag whose handle no %TAG names"), go: None });
            }
        };
        Ok(format!("{prefix}{suffix}"))
    }

    fn node(&mut self, block: bool, indentless: bool) -> Step<'a> {
        let mut start = None;
        let (mut anchor, mut tag) = (0, None);
        let (is_block_entry, mark) = loop {
            let (token, mark) = self.scanner.peek()?;
            match token {
                Token::Alias(name) if start.is_none() => {
                    let Some(&id) = self.anchors.get(name) else {
                        return broken(mark, "an alias to an unknown anchor");
                    };
                    self.scanner.take();
                    self.pop();
                    return Ok((Event::Alias(id), mark));
                }
                Token::Anchor(name) if anchor == 0 => {
                    let name = *name;
                    self.scanner.take();
                    anchor = self.register(name);
                }
                Token::Tag(handle, suffix) if tag.is_none() => {
                    let (handle, suffix) = (*handle, suffix.clone());
                    tag = Some(self.tag(handle, &suffix, mark)?);
                    self.scanner.take();
                }
                token => break (matches!(token, Token::BlockEntry), mark),
            }
            start.get_or_insert(mark);
        };
        let mark_of_node = start.unwrap_or(mark);
        if indentless && is_block_entry {
            self.state = State::IndentlessEntry;
            return Ok((Event::ListStart(anchor), mark_of_node));
        }
        let (state, event) = match self.scanner.peek()?.0 {
            Token::Scalar(..) => {
                let Some((Token::Scalar(text, plain), _)) = self.scanner.take() else {
                    return broken(mark, "a value is expected here");
                };
                self.pop();
                return Ok((Event::Scalar { text, plain, anchor, tag }, mark_of_node));
            }
            Token::FlowSequenceStart => (State::FlowEntry { first: true }, Event::ListStart(anchor)),
            Token::FlowMappingStart => (State::FlowKey { first: true }, Event::MappingStart(anchor)),
            Token::BlockSequenceStart if block => (State::BlockEntry { first: true }, Event::ListStart(anchor)),
            Token::BlockMappingStart if block => (State::BlockKey { first: true }, Event::MappingStart(anchor)),
            _ if start.is_some() => {
                self.pop();
                let text = Cow::Borrowed("");
                return Ok((Event::Scalar { text, plain: true, anchor, tag }, mark_of_node));
            }
            Token::BlockEnd => return broken(mark, "a value is expected here; is the indentation right?"),
            _ => return broken(mark, "a value is expected here"),
        };
        self.state = state;
        Ok((event, mark_of_node))
    }

    fn block_entry(&mut self, first: bool) -> Step<'a> {
        if first {
            self.scanner.take();
        }
        let (token, mark) = self.scanner.peek()?;
        match token {
            Token::BlockEntry => {
                self.scanner.take();
                let next = State::BlockEntry { first: false };
                match self.scanner.peek()?.0 {
                    Token::BlockEntry | Token::BlockEnd => self.empty_then(next, mark),
                    _ => self.node_then(next, true, false),
                }
            }
            Token::BlockEnd => {
                self.scanner.take();
                self.pop();
                Ok((Event::ListEnd, mark))
            }
            _ => broken(mark, "the next item of a list, with its `-`, is expected here; is the indentation right?"),
        }
    }

    fn indentless_entry(&mut self) -> Step<'a> {
        let (token, mark) = self.scanner.peek()?;
        if !matches!(token, Token::BlockEntry) {
            self.pop();
            return Ok((Event::ListEnd, mark));
        }
        self.scanner.take();
        match self.scanner.peek()?.0 {
            Token::BlockEntry | Token::Key | Token::Value | Token::BlockEnd => {
                self.empty_then(State::IndentlessEntry, mark)
            }
            _ => self.node_then(State::IndentlessEntry, true, false),
        }
    }

    fn block_key(&mut self, first: bool) -> Step<'a> {
        if first {
            self.scanner.take();
        }
        let (token, mark) = self.scanner.peek()?;
        match token {
            Token::Key => {
                self.scanner.take();
                match self.scanner.peek()?.0 {
                    Token::Key | Token::Value | Token::BlockEnd => self.empty_then(State::BlockValue, mark),
                    _ => self.node_then(State::BlockValue, true, true),
                }
            }
            Token::BlockEnd => {
                self.scanner.take();
                self.pop();
                Ok((Event::MappingEnd, mark))
            }
            _ => broken(mark, "the next key of a mapping is expected here; is the indentation right?"),
        }
    }

    fn block_value(&mut self) -> Step<'a> {
        let next = State::BlockKey { first: false };
        let (token, mark) = self.scanner.peek()?;
        if !matches!(token, Token::Value) {
            return self.empty_then(next, mark);
        }
        self.scanner.take();
        match self.scanner.peek()?.0 {
            Token::Key | Token::Value | Token::BlockEnd => self.empty_then(next, mark),
            _ => self.node_then(next, true, true),
        }
    }

    fn flow_entry(&mut self, first: bool) -> Step<'a> {
        if first {
            self.scanner.take();
        }
        if !first && !matches!(self.scanner.peek()?.0, Token::FlowSequenceEnd) {
            let (token, mark) = self.scanner.peek()?;
            if !matches!(token, Token::FlowEntry) {
                return broken(mark, "`,` or `]` is expected here");
            }
            self.scanner.take();
        }
        let (token, mark) = self.scanner.peek()?;
        match token {
            Token::FlowSequenceEnd => {
                self.scanner.take();
                self.pop();
                Ok((Event::ListEnd, mark))
            }
            Token::Key => {
                self.scanner.take();
                self.state = State::FlowPairKey;
                Ok((Event::MappingStart(0), mark))
            }
            _ => self.node_then(State::FlowEntry { first: false }, false, false),
        }
    }

    /// `[key: value]`: a mapping of one pair.
    fn flow_pair_key(&mut self) -> Step<'a> {
        let (token, mark) = self.scanner.peek()?;
        match token {
            Token::Value | Token::FlowEntry | Token::FlowSequenceEnd => self.empty_then(State::FlowPairValue, mark),
            _ => self.node_then(State::FlowPairValue, false, false),
        }
    }

    fn flow_pair_value(&mut self) -> Step<'a> {
        let (token, mark) = self.scanner.peek()?;
        if !matches!(token, Token::Value) {
            return self.empty_then(State::FlowPairEnd, mark);
        }
        self.scanner.take();
        match self.scanner.peek()?.0 {
            Token::FlowEntry | Token::FlowSequenceEnd => self.empty_then(State::FlowPairEnd, mark),
            _ => self.node_then(State::FlowPairEnd, false, false),
        }
    }

    fn flow_key(&mut self, first: bool) -> Step<'a> {
        if first {
            self.scanner.take();
        }
        if !first && !matches!(self.scanner.peek()?.0, Token::FlowMappingEnd) {
            let (token, mark) = self.scanner.peek()?;
            if !matches!(token, Token::FlowEntry) {
                return broken(mark, "`,` or `}` is expected here");
            }
            self.scanner.take();
        }
        let (token, mark) = self.scanner.peek()?;
        match token {
            Token::FlowMappingEnd => {
                self.scanner.take();
                self.pop();
                Ok((Event::MappingEnd, mark))
            }
            Token::Key => {
                self.scanner.take();
                match self.scanner.peek()?.0 {
                    Token::Value | Token::FlowEntry | Token::FlowMappingEnd => self.empty_then(State::FlowValue, mark),
                    _ => self.node_then(State::FlowValue, false, false),
                }
            }
            _ => self.node_then(State::FlowNoValue, false, false),
        }
    }

    fn flow_value(&mut self) -> Step<'a> {
        let next = State::FlowKey { first: false };
        let (token, mark) = self.scanner.peek()?;
        if !matches!(token, Token::Value) {
            return self.empty_then(next, mark);
        }
        self.scanner.take();
        match self.scanner.peek()?.0 {
            Token::FlowEntry | Token::FlowMappingEnd => self.empty_then(next, mark),
            _ => self.node_then(next, false, false),
        }
    }
}
