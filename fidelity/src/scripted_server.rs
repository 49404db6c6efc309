//! What the case's script makes each server do: it decides about every request a mock reads, and
//! notes what the server saw.

use std::sync::Arc;

use rmq_mock_broker::control::{Action, Control, Ruled, Seen as BrokerSeen};
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::control as ns;
use rmq_remoting::observe::Observer;

use crate::lab::CaseRun;
use crate::log::What;
use crate::script::{self, Effect, SEND_CODES};

/// One server's seat at the script.
#[derive(Debug)]
pub(crate) struct ScriptedServer {
    pub(crate) case_run: Arc<CaseRun>,
    /// The server's place among the machines.
    pub(crate) number: usize,
}

impl ScriptedServer {
    fn name(&self) -> &str {
        &self.case_run.machines[self.number].name
    }

    fn message(&self, seen: &BrokerSeen<'_>) -> Option<Action> {
        let case_run = &self.case_run;
        let (effect, overall) = {
            let mut script = case_run.script.lock();
            let effect = script.message(case_run.now(), self.name(), seen.request);
            (effect, script.overall())
        };
        case_run.counted("after_sends", overall);
        match effect? {
            Effect::Mock(action) => Some(action),
            Effect::Reset(after) => {
                case_run.reset(self.number, after);
                Some(Action::DropRequest)
            }
        }
    }
}

impl Control for ScriptedServer {
    fn decide(&self, seen: &BrokerSeen<'_>) -> Option<Ruled> {
        let case_run = &self.case_run;
        let note = |what| {
            case_run
                .script
                .lock()
                .note(case_run.now(), self.name(), what);
        };
        let action = match seen.code {
            34 => {
                note(What::Heartbeat);
                let silent = case_run.machines[self.number].conf["heartbeat"] == "silent";
                silent.then_some(Action::DropRequest)
            }
            35 => {
                let group = seen.request.ext.get("producerGroup").unwrap_or_default();
                note(What::Unregister(group.to_owned()));
                None
            }
            code if SEND_CODES.contains(&code) => self.message(seen),
            _ => None,
        };
        let rule = "case".into();
        action.map(|action| Ruled { rule, action })
    }
}

impl Observer<BrokerEvent> for ScriptedServer {
    fn on(&self, event: BrokerEvent) {
        if matches!(event, BrokerEvent::Accepted { .. }) {
            let case_run = &self.case_run;
            case_run
                .script
                .lock()
                .note(case_run.now(), self.name(), What::Accept);
        }
    }
}

impl Control<ns::RouteAlteration> for ScriptedServer {
    fn decide(&self, seen: &ns::Seen<'_>) -> Option<ns::Ruled> {
        let case_run = &self.case_run;
        let topic = seen.topic.filter(|_| seen.code == 105)?;
        let rules = &case_run.machines[self.number].conf["rules"];
        let (action, lookups) = {
            let mut script = case_run.script.lock();
            let action = script.lookup(case_run.now(), self.name(), topic, rules);
            (action, script.lookups())
        };
        let address = |name: &str| {
            let machine = case_run.machines.iter().find(|one| one.name == name);
            machine.map_or_else(String::new, |one| one.at.to_string())
        };
        let body = script::route(&case_run.case, &case_run.topics.lock(), topic, address);
        case_run.counted("after_routes", lookups);
        let action = match action["type"].as_str().unwrap_or("normal") {
            "silent" => Some(ns::Action::DropRequest),
            "close" | "close_before" => Some(ns::Action::CloseBefore),
            "rst" => {
                case_run.reset(self.number, 0);
                Some(ns::Action::DropRequest)
            }
            "code" => Some(ns::Action::Answer {
                code: i32::try_from(action["code"].as_i64().unwrap_or(1)).unwrap_or(1),
                remark: Some(action["remark"].as_str().unwrap_or("scripted").into()),
            }),
            "delay" if action["then"]["type"] == "silent" => Some(ns::Action::DropRequest),
            kind => {
                let delay = action["ms"].as_u64().filter(|_| kind == "delay");
                let found = |body: String| {
                    let answer = ns::Action::AnswerBody {
                        body: body.as_str().into(),
                    };
                    match delay {
                        None | Some(0) => answer,
                        Some(ms) => ns::Action::Delay {
                            ms,
                            then: Box::new(answer),
                        },
                    }
                };
                let late = delay.map(|ms| ns::Action::DelayReply { ms });
                body.map(found).or(late)
            }
        };
        let rule = "case".into();
        action.map(|action| ns::Ruled { rule, action })
    }
}
