//! Decides the smallest change that turns a WireGuard device into what a plan wants.
