//! What a message asks of its broker beyond being stored, and the refusal where that is switched off.
//!
//! This broker has neither transactions nor delays. A message that asks for one of them must not be
//! stored in its topic at once and called a success: its sender would believe in something that
//! never happens. So it is answered as by a real broker with these features switched off.

use std::net::IpAddr;

use rmq_remoting::code::response;
use rmq_remoting::profile::Profile;
use rmq_remoting::properties::{find, name};

use crate::admit::Refusal;

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// To be stored, no more.
    None,
    /// To be held back until its transaction ends.
    Transaction,
    /// To be delivered after the time of a level.
    Delay,
    /// To be delivered at a time.
    Timer,
}

/// The value of `DELAY` is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotANumber;

/// What the property string of a message asks for, in the order in which a broker looks: a half
/// message is one even if it has a delay, unless it is consumed again; a level of delay wins over a
/// time; a level below 1 is none. Brokers before 5.0 know no times.
pub(crate) fn feature(
    properties: &str,
    reconsume_times: i32,
    profile: Profile,
) -> Result<Feature, NotANumber> {
    let level: i32 = match find(properties, name::DELAY) {
        Some(level) => level.parse().map_err(|_| NotANumber)?,
        None => 0,
    };
    let half = find(properties, name::TRAN_MSG);
    let consumed_again = reconsume_times > 0 && level > 0;
    if half.is_some_and(|half| half.eq_ignore_ascii_case("true")) && !consumed_again {
        return Ok(Feature::Transaction);
    }
    if level > 0 {
        return Ok(Feature::Delay);
    }
    let times = [
        name::TIMER_DELIVER_MS,
        name::TIMER_DELAY_MS,
        name::TIMER_DELAY_SEC,
    ];
    let timed = profile.is_5()
        && find(properties, name::TIMER_OUT_MS).is_none()
        && times.iter().any(|time| find(properties, time).is_some());
    Ok(if timed { Feature::Timer } else { Feature::None })
}

impl Feature {
    /// The answer of a broker at this address that has the feature switched off.
    pub(crate) fn switched_off(self, broker: IpAddr) -> Result<(), Refusal> {
        let refused = |code, remark: String| Err(Refusal::new(code, remark));
        match self {
            Self::None => Ok(()),
            Self::Transaction => refused(
                response::NO_PERMISSION,
                format!("the broker[{broker}] sending transaction message is forbidden"),
            ),
            // No real broker can switch levels off, so this has the code of a timer message.
            Self::Delay => refused(
                response::SYSTEM_ERROR,
                "delayed message is not enabled, the broker has no schedule service".to_owned(),
            ),
            Self::Timer => refused(
                response::SYSTEM_ERROR,
                "accurate timer message is not enabled, timerWheelEnable is false".to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(text: &str, reconsume_times: i32) -> Result<Feature, NotANumber> {
        let text = text.replace('=', "\u{1}").replace(';', "\u{2}");
        feature(&text, reconsume_times, Profile::V5_3_3)
    }

    #[test]
    fn a_property_says_what_a_message_asks_for() {
        let none = [
            "",
            "TAGS=a;",
            "TRAN_MSG=false;",
            "DELAY=0;",
            "DELAY=-1;",
            "TIMER_DELAY_MS=;",
        ];
        for text in none {
            assert_eq!(asks(text, 0), Ok(Feature::None), "{text}");
        }
        for text in ["TRAN_MSG=true;", "TRAN_MSG=TRUE;DELAY=3;"] {
            assert_eq!(asks(text, 0), Ok(Feature::Transaction), "{text}");
        }
        for text in ["DELAY=1;", "DELAY=99;", "DELAY=2;TIMER_DELAY_SEC=9;"] {
            assert_eq!(asks(text, 0), Ok(Feature::Delay), "{text}");
        }
        for time in ["TIMER_DELAY_MS", "TIMER_DELAY_SEC", "TIMER_DELIVER_MS"] {
            assert_eq!(asks(&format!("{time}=7;"), 0), Ok(Feature::Timer));
            assert_eq!(asks(&format!("{time}=x;DELAY=0;"), 0), Ok(Feature::Timer));
        }
        assert_eq!(
            asks("TIMER_DELAY_MS=7;TIMER_OUT_MS=9;", 0),
            Ok(Feature::None)
        );
        assert_eq!(asks("DELAY=soon;", 0), Err(NotANumber));
    }

    #[test]
    fn a_half_message_that_is_consumed_again_is_delayed() {
        assert_eq!(asks("TRAN_MSG=true;DELAY=3;", 1), Ok(Feature::Delay));
        assert_eq!(asks("TRAN_MSG=true;", 1), Ok(Feature::Transaction));
    }

    #[test]
    fn an_old_broker_stores_a_timed_message_as_it_is() {
        let text = "TIMER_DELAY_MS\u{1}7\u{2}";
        assert_eq!(feature(text, 0, Profile::V4_9_7), Ok(Feature::None));
        assert_eq!(feature(text, 0, Profile::V5_2_0), Ok(Feature::Timer));
    }

    #[test]
    fn each_refusal_has_its_code() {
        let broker = IpAddr::from([127, 0, 0, 1]);
        let code = |feature: Feature| feature.switched_off(broker).err().map(|it| it.code);
        assert_eq!(code(Feature::None), None);
        assert_eq!(code(Feature::Transaction), Some(16));
        assert_eq!(code(Feature::Delay), Some(1));
        assert_eq!(code(Feature::Timer), Some(1));
    }
}
