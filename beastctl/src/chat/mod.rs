//! `chat`: many questions in one process, from a terminal or a pipe, in one conversation.

mod block;
mod error;
mod keyboard;
mod log;
mod pipe;

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use beast_protocol::{Constraint, Generate};

pub use self::error::ChatError;
use self::{
    block::{Block, Command, HELP, Typed},
    keyboard::{Key, Keyboard},
    log::Log,
    pipe::Lines,
};
use crate::{
    cli::Options,
    context::Context,
    conversations::{Conversation, Exchange, Head, Open, Said, Store},
    editor,
    exit::{self, AlreadyTold, During as _, Failure, Result},
    input,
    output::{Console, OutputError, units::count},
    prompts::Prompt,
    turn::{
        answering::Answering,
        asking::Asking,
        broken_off, constraint,
        conversing::{left_out, n_to_leave_out, other_prompt},
        is_wanted, load_prompt,
        made::Form,
        material::Material,
        print_error, reach, request,
    },
    wait::{Wait, WaitError},
};

/// The default prompt of a chat.
const PROMPT: &str = "ask";

/// Chats until the user quits or the pipe ends.
pub(super) fn run(context: &Context, prompt: Option<String>, options: &Options) -> Result<()> {
    if options.tools.tools.is_some() {
        return Err(ChatError::Option { option: "--tools", way: "beastctl ask --tools FILE 'QUESTION'" }.into());
    }
    if options.output.count_tokens {
        return Err(
            ChatError::Option { option: "--count-tokens", way: "beastctl ask --count-tokens 'QUESTION'" }.into()
        );
    }
    let begun = Chat::begin(context, prompt.as_deref().unwrap_or(PROMPT), options);
    let outcome = begun.and_then(|mut chat| if chat.is_interactive { chat.with_person() } else { chat.with_pipe() });
    outcome.inspect_err(|error| {
        if options.output.stream_json && !error.is::<AlreadyTold>() {
            print_error(context, error);
        }
    })
}

struct Chat<'a> {
    context: &'a Context,
    options: &'a Options,
    console: Console,
    socket: PathBuf,
    prompt_name: String,
    prompt: Prompt,
    /// The constraint from the command line, which overrides the prompt's own.
    constraint: Option<Constraint>,
    /// The prompt's text, if the conversation began with another prompt. Sent with the next question only.
    front: String,
    wait: Wait,
    log: Log,
    conversation: Conversation,
    /// Number of oldest exchanges that are no longer sent, because they do not fit.
    n_left_out: usize,
    files: Vec<PathBuf>,
    /// Contents of the files, for the next question.
    material: Material,
    last: Option<Last>,
    is_interactive: bool,
    has_answered: bool,
}

/// The most recent question, set when it is asked.
#[derive(Clone)]
struct Last {
    material: Material,
    /// Whether this is the whole user turn as it was sent before, so that nothing is put before it.
    is_turn: bool,
    /// Whether it has an answer, which is part of the conversation.
    is_answered: bool,
}

impl<'a> Chat<'a> {
    fn begin(context: &'a Context, prompt_name: &str, options: &'a Options) -> Result<Self> {
        is_wanted("BEAST_MARKDOWN")?;
        let socket = context.socket()?;
        let mut prompt = load_prompt(prompt_name, options)?;
        // Stdin delivers the chat, so it cannot deliver a schema or grammar.
        let constraint = constraint(options, false)?;
        let (log, earlier) = Log::begin(options, context.console)?;
        let front = earlier.as_ref().map(|earlier| other_prompt(earlier, prompt_name, &prompt)).unwrap_or_default();
        let conversation = earlier.unwrap_or_else(|| Conversation::new(Head::new(prompt_name, &prompt.system)));
        if front.is_empty() {
            // `/clear` starts the next conversation with the same system turn.
            prompt.system.clone_from(&conversation.head.system);
        }
        Ok(Self {
            context,
            options,
            console: context.console,
            socket,
            prompt_name: prompt_name.to_owned(),
            prompt,
            constraint,
            front,
            wait: Wait::start(None).context("cannot watch for Ctrl-C")?,
            log,
            conversation,
            n_left_out: 0,
            files: Vec::new(),
            material: Material::default(),
            last: None,
            is_interactive: input::stdin_is_terminal(),
            has_answered: false,
        })
    }

    /// Reports each failure and continues: the user decides when the chat ends.
    fn with_person(&mut self) -> Result<()> {
        let file = Store::of_user().ok().map(|store| store.typed_lines());
        let mut keyboard = Keyboard::new(file, !matches!(self.log, Log::Off), self.console)?;
        self.greet();
        let mut block = Block::default();
        let mut was_interrupted = false;
        loop {
            let entry = match keyboard.line(block.is_begun(), &self.wait, self.console)? {
                Key::Line(line) => block.push(&line),
                Key::End => return Ok(()),
                Key::Interrupt if was_interrupted => return Err(WaitError::Interrupted.into()),
                Key::Interrupt => {
                    self.wait.forget_interrupts();
                    block = Block::default();
                    was_interrupted = true;
                    self.console.info("press Ctrl-C again or Ctrl-D to quit");
                    continue;
                }
            };
            was_interrupted = false;
            let Some(entry) = entry else {
                if let Err(error) = block.check() {
                    block = Block::default();
                    self.tell(&error.into());
                }
                continue;
            };
            if entry.typed != Typed::Nothing {
                keyboard.keep(&entry.text, self.console);
            }
            if entry.typed.is_farewell() {
                return Ok(());
            }
            match self.act(entry.typed) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(()),
                Err(error) if is_end(&error) => return Err(error),
                Err(error) => self.tell(&error),
            }
        }
    }

    fn greet(&self) {
        if let Log::At { name, .. } = &self.log {
            let n = self.conversation.exchanges.len() as u64;
            self.console.info(&format!("resuming `{name}` ({})", count(n, "turn")));
        }
        self.console.info("/help lists the commands, Ctrl-D quits");
    }

    /// Continues after a failure; the exit code is that of the first one.
    fn with_pipe(&mut self) -> Result<()> {
        let mut lines = Lines::default();
        let mut block = Block::default();
        let mut failed = None;
        loop {
            let line = lines.next(&self.wait, self.console)?;
            let entry = match &line {
                Some(line) => block.push(line),
                None => block.end(),
            };
            // The rest of an overlong question must not be taken for further questions, so the chat ends.
            block.check()?;
            let next = entry.map_or(Ok(ControlFlow::Continue(())), |entry| self.act(entry.typed));
            match next {
                Ok(ControlFlow::Continue(())) if line.is_some() => continue,
                Ok(_) => break,
                Err(error) if is_end(&error) => return Err(error),
                Err(error) => {
                    self.tell(&error);
                    let code = error.code();
                    failed.get_or_insert(code);
                    // Without a daemon the other lines would fail too, each after the same wait.
                    if code == exit::UNREACHABLE || line.is_none() {
                        break;
                    }
                }
            }
        }
        failed.map_or(Ok(()), |code| Err(AlreadyTold(code).into()))
    }

    fn tell(&self, error: &Failure) {
        if self.options.output.stream_json {
            print_error(self.context, error);
        }
        if let Some(line) = error.line() {
            self.console.error(&line);
        }
    }

    fn act(&mut self, typed: Typed) -> Result<ControlFlow<()>> {
        match typed {
            Typed::Nothing => {}
            Typed::Question(question) => {
                self.files.clear();
                let material = std::mem::take(&mut self.material);
                let material = Material { question, front: self.front.clone(), ..material };
                self.ask(Last { material, is_turn: false, is_answered: false })?;
            }
            Typed::Mistake(mistake) => return Err(ChatError::Typed(mistake).into()),
            Typed::Command(command) => return self.obey(command),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn obey(&mut self, command: Command) -> Result<ControlFlow<()>> {
        match command {
            Command::Help => self.console.lines(HELP),
            Command::Clear => self.clear(self.prompt.system.clone()),
            Command::System(None) => self.console.lines(&format!("{}\n", self.conversation.head.system)),
            Command::System(Some(text)) => self.clear(text),
            Command::Save(name) => {
                self.log.save(&name)?;
                self.console.info(&format!("this conversation is `{name}`"));
            }
            Command::Retry => self.retry()?,
            Command::Edit(text) => return self.edit(text),
            Command::File(path) => self.attach(path)?,
            Command::Quit => return Ok(ControlFlow::Break(())),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn clear(&mut self, system: String) {
        self.conversation = Conversation::new(Head::new(&self.prompt_name, &system));
        self.prompt.system = system;
        // The prompt's text is in the system turn now.
        self.front.clear();
        self.n_left_out = 0;
        self.last = None;
        self.log.clear();
        self.console.info("new conversation");
    }

    /// Rereads all files, because several files get headings.
    fn attach(&mut self, path: PathBuf) -> Result<()> {
        // `-` cannot mean stdin, which delivers the chat.
        let path = if path == Path::new("-") { "./-".into() } else { path };
        let files: Vec<PathBuf> = self.files.iter().cloned().chain([path]).collect();
        let input = input::read(&files, &Wait::default())?;
        for warning in &input.warnings {
            self.console.warning(warning);
        }
        self.console.info(&format!("{} added to the next question", count(input.text.len() as u64, "byte")));
        (self.files, self.material) = (files, input.into());
        Ok(())
    }

    fn retry(&mut self) -> Result<()> {
        let kept = |exchange: &Exchange| {
            let material = Material { question: exchange.question.content.clone(), ..Material::default() };
            Last { material, is_turn: true, is_answered: true }
        };
        match self.last.take().or_else(|| self.conversation.exchanges.last().map(kept)) {
            Some(last) => self.ask(last),
            None => Err(ChatError::Typed("no question yet".into()).into()),
        }
    }

    /// Has the question written in the editor. Nothing is sent unless something was written.
    fn edit(&mut self, text: Option<String>) -> Result<ControlFlow<()>> {
        if !self.is_interactive || !self.console.stdout_is_terminal || !self.console.stderr_is_terminal {
            return Err(ChatError::NoTerminal.into());
        }
        let asked = self.last.as_ref().map(|last| last.material.question.clone());
        let kept = || self.conversation.exchanges.last().map(|exchange| exchange.question.content.clone());
        let before = text.or(asked).or_else(kept).unwrap_or_default();
        let edited = editor::edit(&before);
        // The editor's Ctrl-C is not meant for this chat.
        self.wait.forget_interrupts();
        let edited = edited?;
        if edited.trim().is_empty() || edited.trim_end() == before.trim_end() {
            self.console.info("no changes; nothing is sent");
            return Ok(ControlFlow::Continue(()));
        }
        self.console.lines(&format!("{}\n", edited.trim_end()));
        self.act(Typed::Question(edited.trim_end().to_owned()))
    }

    /// Sends a question, shows its answer and saves both. An answer to a repeated question replaces the last exchange.
    fn ask(&mut self, last: Last) -> Result<()> {
        let is_retry = last.is_answered;
        self.last = Some(last.clone());
        let open = self.log.open(self.console)?;
        if let Some(conversation) = open.as_ref().and_then(Open::conversation) {
            // Another process may have continued the conversation since the last question.
            self.conversation.clone_from(conversation);
        }
        self.begin_waiting(self.context.timeout);
        let n_left_out = self.n_left_out;
        let answered = self.answer(&last);
        self.begin_waiting(None);
        if answered.is_err() {
            self.n_left_out = n_left_out;
        } else if self.n_left_out > n_left_out {
            self.console.warning(&left_out(self.n_left_out));
        }
        let (question, said, outcome) = answered?;
        if !said.text.is_empty() {
            self.keep(open, question, said, is_retry)?;
        }
        outcome
    }

    /// On a terminal, Ctrl-C concerns a single answer or line. On a pipe it ends the whole chat.
    fn begin_waiting(&mut self, limit: Option<Duration>) {
        if self.is_interactive {
            self.wait.forget_interrupts();
        }
        self.wait.limit(limit);
    }

    /// The question as it was sent, its answer, and whether that answer is a success.
    fn answer(&mut self, last: &Last) -> Result<(String, Said, Result<()>)> {
        let n_earlier = self.conversation.exchanges.len().saturating_sub(usize::from(last.is_answered));
        self.n_left_out = self.n_left_out.min(n_earlier);
        loop {
            let request = self.request(last.clone(), n_earlier);
            let question = request.messages.last().map(|message| message.content.clone()).unwrap_or_default();
            match self.exchange(request) {
                Ok((said, outcome)) => return Ok((question, said, outcome)),
                Err(error) => {
                    let n = n_to_leave_out(&error, &self.conversation.exchanges[self.n_left_out..n_earlier]);
                    if n == 0 {
                        return Err(error);
                    }
                    self.n_left_out += n;
                }
            }
        }
    }

    fn request(&self, last: Last, n_earlier: usize) -> Generate {
        let mut prompt = self.prompt.clone();
        if last.is_turn {
            prompt.instruction.clear();
        }
        let (mut request, _) = request::generate(prompt, last.material, self.options);
        request.constraint = self.constraint.clone().or(request.constraint);
        // Spans of the request refer to its last message, which stays last.
        let question = request.messages.pop();
        request.messages = self.conversation.messages(self.n_left_out..n_earlier);
        request.messages.extend(question);
        request
    }

    /// Sends one request and shows its answer. After an error there is nothing to save.
    fn exchange(&mut self, request: Generate) -> Result<(Said, Result<()>)> {
        let Context { console, timeout, .. } = *self.context;
        let context = Context { console, started: Instant::now(), socket: None, timeout };
        let form = Form::of(request.constraint.as_ref());
        let mut asking = Asking::new(&self.socket, !self.options.request.no_start, request);
        let reached = reach(&context, &asking, &self.wait);
        let (client, progress) = match reached {
            Err(error) if self.is_stopped(&error) => return Ok((nothing(), Ok(()))),
            reached => reached?,
        };
        let mut answering = Answering::new(&context, self.options, progress, Vec::new()).bound_to(form);
        if self.has_answered && !self.is_interactive {
            answering.set_apart();
        }
        // When `follow` returns, the connection is closed, which makes the daemon stop.
        let followed = answering.follow(client, &mut asking, &self.wait);
        self.has_answered |= answering.has_text();
        match followed {
            Ok(()) => {
                let said = answering.said();
                Ok((said, answering.finish()))
            }
            Err(error) if self.is_stopped(&error) => {
                answering.abandon(true)?;
                // An answer that is shown only as a whole has not been seen at all.
                Ok((if answering.is_seen() { answering.said() } else { nothing() }, Ok(())))
            }
            Err(error) => Err(broken_off(&mut answering, error)),
        }
    }

    /// Whether the user stopped an answer, which is no failure and does not end the chat.
    fn is_stopped(&self, error: &Failure) -> bool {
        self.is_interactive && error.code() == exit::INTERRUPTED
    }

    fn keep(&mut self, open: Option<Open>, question: String, said: Said, is_retry: bool) -> Result<()> {
        self.conversation.head.model.clone_from(&said.model);
        let mut exchange = Exchange::new(question, said);
        exchange.question.is_retry = is_retry;
        let kept = self.log.keep(open, &self.conversation.head, &exchange, self.console);
        self.conversation.push(exchange);
        self.last.iter_mut().for_each(|last| last.is_answered = true);
        // A repeated question was sent without the prompt's text.
        if !is_retry {
            self.front.clear();
        }
        Ok(kept?)
    }
}

fn nothing() -> Said {
    Said { text: String::new(), model: String::new(), is_cut: true }
}

/// Whether no further answer is possible or wanted.
fn is_end(error: &Failure) -> bool {
    matches!(error.code(), exit::DONE | exit::INTERRUPTED) || error.is::<OutputError>()
}
