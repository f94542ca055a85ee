//! In which order the hosts of a service are tried (RFC 2782). Pure.

use super::Service;

/// More hosts than this nobody needs.
const MOST: usize = 16;

/// Those that offer the service, by priority; within one by chance, as their weights say.
/// `draw` gives a number from 0 to the one it is given, both included.
pub(crate) fn in_order(mut services: Vec<Service>, mut draw: impl FnMut(u64) -> u64) -> Vec<Service> {
    services.retain(|service| !service.target.is_empty());
    // Those without a weight come first where a draw begins, as the RFC has it.
    services.sort_by_key(|service| (service.priority, service.weight));
    let mut ordered = Vec::new();
    while !services.is_empty() && ordered.len() < MOST {
        let best = services[0].priority;
        let of_best = services.iter().take_while(|service| service.priority == best);
        let weights: Vec<u64> = of_best.map(|service| u64::from(service.weight)).collect();
        ordered.push(services.remove(choose(&weights, draw(weights.iter().sum()))));
    }
    ordered
}

/// The first whose weight and those before it reach `drawn`.
fn choose(weights: &[u64], drawn: u64) -> usize {
    let reached = weights.iter().scan(0, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    reached.take_while(|sum| *sum < drawn).count().min(weights.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(priority: u16, weight: u16, target: &str) -> Service {
        Service { priority, weight, target: target.to_owned(), port: 1 }
    }

    fn targets(services: &[Service]) -> Vec<&str> {
        services.iter().map(|service| service.target.as_str()).collect()
    }

    #[test]
    fn lower_priorities_come_first_whatever_the_weights() {
        let services = vec![service(20, 65535, "c"), service(10, 0, "b"), service(0, 1, "a")];

        for luck in [0, u64::MAX] {
            assert_eq!(targets(&in_order(services.clone(), |most| luck.min(most))), ["a", "b", "c"]);
        }
    }

    #[test]
    fn within_a_priority_weights_decide() {
        let services = vec![service(1, 70, "heavy"), service(1, 30, "light"), service(1, 0, "none")];
        let first = |drawn: u64| targets(&in_order(services.clone(), |most| drawn.min(most)))[0].to_owned();

        assert_eq!((first(0), first(1), first(30)), ("none".to_owned(), "light".to_owned(), "light".to_owned()));
        assert_eq!((first(31), first(100)), ("heavy".to_owned(), "heavy".to_owned()));
    }

    #[test]
    fn each_is_tried_once_and_not_too_many() {
        let many: Vec<Service> = (0..100).map(|number| service(number % 3, number, &format!("t{number}"))).collect();

        let ordered = in_order(many, |most| most / 2);

        let mut distinct = targets(&ordered);
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!((ordered.len(), distinct.len()), (MOST, MOST));
    }

    #[test]
    fn who_says_that_there_is_no_service_offers_none() {
        assert!(in_order(vec![service(0, 0, "")], |_| 0).is_empty());
        assert!(in_order(Vec::new(), |_| 0).is_empty());
    }
}
