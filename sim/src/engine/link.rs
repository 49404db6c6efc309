//! The links between nodes and their weather.

use super::config::{LinkBytes, NetworkConfig};
use crate::chance::Chance;

pub(super) struct Links;

impl Links {
    pub(super) fn new(_config: &NetworkConfig, _chance: &Chance) -> Self {
        Self
    }
    pub(super) fn add_node(&mut self, _name: &str) {}
    pub(super) fn bytes(&self) -> Vec<LinkBytes> {
        Vec::new()
    }
}
