//! A node that runs programs.

use std::time::Duration;

use tests_sim::{Cluster, ask, until};
use tests_workloads::{Failure, add_module};

/// Memory of the node for sessions and programs.
const SESSIONS_LEN_MAX: usize = 64 << 20;

/// How a task ended, or where it stands.
#[derive(Debug, PartialEq)]
pub struct Task {
    /// As `sys.tasks` has it.
    pub state: String,
    /// What it has given.
    pub result: Option<String>,
    /// Why it failed last.
    pub error: Option<String>,
}

/// A cluster of one node.
pub struct Node {
    cluster: Cluster,
    tasks: i64,
}

impl Node {
    /// A node with an empty table `t`, and programs, each a module under its name.
    ///
    /// # Panics
    /// As all that follows: if the node says no.
    pub fn new(programs: &[(&str, Vec<u8>)]) -> Node {
        let mut node = Node { cluster: Cluster::new(1, 7), tasks: 0 };
        // Simulated nodes have little memory; programs may have more than that by default.
        node.cluster.options(1).sessions_len_max = SESSIONS_LEN_MAX;
        node.lose_power();
        until(&mut node.cluster, 1, |cluster| ask(cluster, 1, "CREATE TABLE t (a bigint)").ok().map(drop));
        for (name, module) in programs {
            node.ask(&add_module(name, module));
        }
        node
    }

    /// The rows that a statement gives, one a line.
    pub fn ask(&mut self, sql: &str) -> String {
        let rows = ask(&mut self.cluster, 1, sql).unwrap_or_else(|error| panic!("{sql:.200}: {error:?}"));
        let value = |value: &Option<String>| value.clone().unwrap_or("-".into());
        let row = |row: &Vec<Option<String>>| row.iter().map(value).collect::<Vec<_>>().join(" ");
        rows.iter().map(row).collect::<Vec<_>>().join("\n")
    }

    /// Why it refuses a statement.
    pub fn refused(&mut self, sql: &str) -> String {
        match ask(&mut self.cluster, 1, sql) {
            Err(Failure::Server(_, message)) => message,
            other => panic!("{sql:.200}: {other:?}"),
        }
    }

    /// Gives it a task, with its arguments as JSON; the task's number. It may fail so many times.
    pub fn begin(&mut self, program: &str, arguments: &str, attempts_max: u32) -> i64 {
        self.tasks += 1;
        let (id, arguments) = (self.tasks, arguments.replace('\'', "''"));
        self.ask(&format!(
            "INSERT INTO sys.tasks (id, program, arguments, attempts_max, backoff) \
             VALUES ({id}, '{program}', '{arguments}', {attempts_max}, '0')"
        ));
        id
    }

    /// Waits until a task has come to such a state.
    pub fn until(&mut self, task: i64, is_so: impl Fn(&Task) -> bool) -> Task {
        let sql = format!("SELECT state, result, error FROM sys.tasks WHERE id = {task}");
        until(&mut self.cluster, 5, |cluster| {
            let row = ask(cluster, 1, &sql).expect("an answer").pop().expect("the task");
            let [state, result, error] = row.try_into().expect("three columns");
            let task = Task { state: state.expect("not null"), result, error };
            is_so(&task).then_some(task)
        })
    }

    /// Runs a task to its end, once.
    pub fn run(&mut self, program: &str, arguments: &str) -> Task {
        let task = self.begin(program, arguments, 1);
        self.until(task, |task| matches!(&*task.state, "done" | "failed"))
    }

    /// The result of a task that is to be done.
    pub fn result(&mut self, program: &str, arguments: &str) -> String {
        let task = self.run(program, arguments);
        assert_eq!((&*task.state, &task.error), ("done", &None), "{program} {arguments}");
        task.result.unwrap_or("nothing".into())
    }

    /// The error of a task that is to fail.
    pub fn error(&mut self, program: &str, arguments: &str) -> String {
        let task = self.run(program, arguments);
        assert_eq!(task.state, "failed", "{program} {arguments}");
        let error = task.error.expect("a failed task says why");
        error.strip_prefix("the program failed: ").unwrap_or(&error).to_string()
    }

    /// What a file holds.
    pub fn file(&mut self, path: &str) -> String {
        self.ask(&format!(
            "SELECT convert_from(b.data, 'UTF8') FROM sys.files f JOIN sys.blocks b USING (inode) WHERE path = '{path}'"
        ))
    }

    /// Loses the node's power, and gives it back.
    pub fn lose_power(&mut self) {
        self.cluster.crash(1);
        self.cluster.run(Duration::from_secs(1));
        self.cluster.start(1);
        until(&mut self.cluster, 1, |cluster| ask(cluster, 1, "SELECT 1").ok().map(drop));
    }

    /// What it has printed, a line each.
    pub fn console(&self) -> String {
        self.cluster.console(1).iter().map(|(_, line)| format!("{line}\n")).collect()
    }
}
