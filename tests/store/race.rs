//! Sixteen clients that use up two thousand values, all at once and in orders of their own.

use crate::house::{House, KIND, in_an_hour, value};

const KEYS: u32 = 2000;

/// Races them over these stores, which are one: each value is new to one client and to no other.
pub(crate) fn race(houses: &[&House]) {
    let clients = (0..16_u32).map(|client| {
        let house = houses[client as usize % houses.len()];
        let store = house.store.clone();
        house.runtime.spawn(async move {
            let mut won = Vec::new();
            for step in 0..KEYS {
                // Some go up, some go down, and all start elsewhere.
                let step = if client % 2 == 0 { step } else { KEYS - 1 - step };
                let number = (step + client / 2 * 3) % KEYS;
                if store.first_seen(KIND, &value(number), in_an_hour()).await.unwrap() {
                    won.push(number);
                }
            }
            won
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut won: Vec<u32> = Vec::new();
    for client in clients {
        won.extend(houses[0].runtime.block_on(client).unwrap());
    }
    won.sort_unstable();
    assert_eq!(won, (0..KEYS).collect::<Vec<u32>>());
}
