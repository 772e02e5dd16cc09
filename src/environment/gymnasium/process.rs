//! The Python process: messages over its pipes, each answer within a time limit, and its last words if it fails.
//!
//! `scripts/gymnasium_worker.py` defines the messages. One thread reads the answers, so that a wait can end; another one keeps
//! the last lines on standard error. The process ends when this value is dropped.

use super::Gymnasium;
use super::description::{Description, Greeting};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

const WORKER: &str = include_str!("../../../scripts/gymnasium_worker.py");
/// Lines of standard error that are kept.
const LAST_LINES: usize = 6;
/// How long a process may take to end by itself once its input has ended.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running worker.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// None once the process is to end.
    requests: Option<ChildStdin>,
    answers: Receiver<Vec<u8>>,
    /// The answers that came and were not yet read.
    pending: VecDeque<u8>,
    said: Arc<Mutex<VecDeque<String>>>,
    listener: JoinHandle<()>,
    timeout: Duration,
}

impl Process {
    /// Starts the worker of an environment.
    ///
    /// # Errors
    /// Why there is no such interpreter, package or environment, or why latent-lab cannot use it.
    pub fn start(asked: &Gymnasium) -> Result<(Self, Description), String> {
        let settings = serde_json::json!({
            "id": asked.id, "arguments": asked.arguments, "episode_length": asked.episode_length,
        });
        let mut command = Command::new(&asked.python);
        command.args(["-c", WORKER, &settings.to_string()]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| {
            let why = match error.kind() {
                ErrorKind::NotFound => "there is no such program".to_owned(),
                _ => error.to_string(),
            };
            format!(
                "the Python interpreter `{}` cannot be started: {why}; `python = \"…\"` names another one",
                asked.python
            )
        })?;
        let mut process = Self::of(child, Duration::from_secs(asked.timeout.into()));
        let line = process.line().map_err(|error| format!("`{}`: {error}", asked.id))?;
        let greeting: Greeting = serde_json::from_str(&line)
            .map_err(|error| format!("`{}` is no Python interpreter: {error} in {line:?}", asked.python))?;
        let description = greeting.read(asked)?;
        Ok((process, description))
    }

    fn of(mut child: Child, timeout: Duration) -> Self {
        let (sender, answers) = channel();
        let (requests, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        spawn(move || {
            let Some(mut stdout) = stdout else { return };
            let mut bytes = [0; 1 << 16];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let words = Arc::clone(&said);
        let listener = spawn(move || {
            let Some(stderr) = stderr else { return };
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            while let Ok(1..) = lines.read_until(b'\n', &mut line) {
                let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
                words.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                if words.len() > LAST_LINES {
                    words.pop_front();
                }
                line.clear();
            }
        });
        Self {
            child,
            requests,
            answers,
            pending: VecDeque::new(),
            said,
            listener,
            timeout,
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn send(&mut self, request: &[u8]) -> Result<(), String> {
        let sent = self.requests.as_mut().map(|requests| requests.write_all(request));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(self.last_words()),
        }
    }

    /// The next `count` bytes of the answer for one episode; the worker's own words if it failed.
    ///
    /// # Errors
    /// If the environment raised an exception, the process has ended, or the time is over.
    pub fn answer(&mut self, count: usize) -> Result<Vec<u8>, String> {
        if self.take(1)? == [0] {
            return self.take(count);
        }
        let length = self.take(4)?.try_into().map_or(0, u32::from_le_bytes);
        let text = self.take(length as usize)?;
        Err(String::from_utf8_lossy(&text).into_owned())
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// If the process has ended, or the time is over.
    pub fn take(&mut self, count: usize) -> Result<Vec<u8>, String> {
        while self.pending.len() < count {
            self.wait()?;
        }
        Ok(self.pending.drain(..count).collect())
    }

    /// The next line.
    fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line = self.take(end + 1)?;
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.wait()?;
        }
    }

    /// Waits for more bytes.
    fn wait(&mut self) -> Result<(), String> {
        match self.answers.recv_timeout(self.timeout) {
            Ok(bytes) => {
                self.pending.extend(bytes);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => {
                let seconds = self.timeout.as_secs();
                // The process is not waiting for its input, so it would not end by itself.
                let _ = self.child.kill();
                Err(format!(
                    "no answer within {seconds} s, so its process was ended; `timeout` allows more"
                ))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.last_words()),
        }
    }

    /// How the process ended, with its last lines on standard error.
    fn last_words(&mut self) -> String {
        self.requests = None;
        let status = self.end();
        let start = Instant::now();
        // A process of its own may keep standard error open.
        while !self.listener.is_finished() && start.elapsed() < Duration::from_millis(200) {
            sleep(Duration::from_millis(2));
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = said.iter().map(String::as_str).collect();
        let words = match lines.is_empty() {
            true => "it wrote nothing on standard error".to_owned(),
            false => format!("its last lines on standard error are:\n{}", lines.join("\n")),
        };
        format!("its process ended ({status}); {words}")
    }

    /// Waits until the process has ended, and ends it if it does not do so by itself.
    fn end(&mut self) -> String {
        let start = Instant::now();
        while start.elapsed() < FAREWELL {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) => sleep(Duration::from_millis(2)),
                Err(_) => break,
            }
        }
        let _ = self.child.kill();
        self.child
            .wait()
            .map_or("unknown".to_owned(), |status| status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.requests = None;
        self.end();
    }
}
