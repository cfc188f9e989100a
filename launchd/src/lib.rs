//! What the system keeps for beastd: its places, its socket, its service.
