//! A memory limit for incoming requests, shared by all clients: when it is reached, large requests wait before they
//! are read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Total bytes: eight frames of the largest size.
const ROOM: usize = 256 << 20;
/// Requests up to this size never wait; nearly all are smaller.
pub const FREE: usize = 64 * 1024;
/// Bytes per permit.
const UNIT: usize = 1024;

/// What is left of the memory.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

/// A share of the memory, held until dropped.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM / UNIT)))
    }
}

impl Budget {
    /// Waits for this many bytes, at most [`ROOM`], in order of arrival.
    pub async fn take(&self, n_bytes: usize) -> Room {
        let permit = Arc::clone(&self.0).acquire_many_owned(units(n_bytes)).await;
        Room(permit.expect("the semaphore is never closed"))
    }

    /// Takes them without waiting; `None` if there are too few.
    pub fn try_take(&self, n_bytes: usize) -> Option<Room> {
        Arc::clone(&self.0).try_acquire_many_owned(units(n_bytes)).ok().map(Room)
    }
}

fn units(n_bytes: usize) -> u32 {
    u32::try_from(n_bytes.min(ROOM).div_ceil(UNIT)).expect("few")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_room_for_so_much_and_again_once_it_is_given_back() {
        let budget = Budget::default();
        let held: Vec<Room> = (0..8).map(|_| budget.try_take(ROOM / 8).expect("room")).collect();
        assert!(budget.try_take(1).is_none());
        drop(held);
        budget.take(2 * ROOM).await;
        assert!(budget.try_take(ROOM).is_some());
    }
}
