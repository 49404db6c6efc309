//! Real TCP on the loop-back interface, in real time: the kernel's own answer to a scenario.
