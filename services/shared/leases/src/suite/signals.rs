//! What signals must do.

use std::time::Duration;

use super::bench::Bench;

pub(super) async fn a_message_reaches_all_who_listen_to_its_topic_and_nobody_else(bench: Bench) {
    let mut listeners = [bench.subscribe("topic").await.unwrap(), bench.subscribe("topic").await.unwrap()];
    let mut others = [bench.subscribe("other").await.unwrap(), bench.subscribe("topic:2").await.unwrap()];

    bench.publish("topic", "hello").await.unwrap();
    bench.publish("other", "not for you").await.unwrap();
    bench.publish("topic:2", "not for you").await.unwrap();

    for listener in &mut listeners {
        assert_eq!(listener.next().await.as_deref(), Some("hello"));
    }
    for other in &mut others {
        assert_eq!(other.next().await.as_deref(), Some("not for you"));
    }
}

pub(super) async fn messages_come_in_order_and_whole(bench: Bench) {
    let messages = ["", "1", "zwei\r\n", "три\0", "*4\r\n$1", &"long ".repeat(20_000)];
    let mut listener = bench.subscribe("topic").await.unwrap();

    for message in messages {
        bench.publish("topic", message).await.unwrap();
    }

    for message in messages {
        assert_eq!(listener.next().await.as_deref(), Some(message));
    }
}

pub(super) async fn nobody_listening_is_no_error(bench: Bench) {
    bench.publish("topic", "to nobody").await.unwrap();
    let mut late = bench.subscribe("topic").await.unwrap();
    bench.publish("topic", "to you").await.unwrap();

    let mut message = late.next().await;
    // Servers of a cluster pass on what was published at one: it may be on its way still.
    if message.as_deref() == Some("to nobody") {
        message = late.next().await;
    }
    assert_eq!(message.as_deref(), Some("to you"));
}

pub(super) async fn a_topic_can_be_left_and_joined_again(bench: Bench) {
    let stays = bench.subscribe("topic").await.unwrap();
    for round in 0..20 {
        let mut listener = bench.subscribe("topic").await.unwrap();
        let mut alone = bench.subscribe("another topic").await.unwrap();

        bench.publish("topic", &round.to_string()).await.unwrap();
        bench.publish("another topic", &round.to_string()).await.unwrap();

        assert_eq!(listener.next().await, Some(round.to_string()));
        assert_eq!(alone.next().await, Some(round.to_string()));
    }
    drop(stays);
}

pub(super) async fn many_callers_may_join_and_leave_at_once(bench: Bench) {
    let heard = bench
        .at_once(60, |state, caller| async move {
            let topic = format!("topic {}", caller % 3);
            for round in 0..5 {
                let mut listener = state.subscribe(&topic).await.unwrap();
                let ours = format!("{caller} {round}");
                state.publish(&topic, &ours).await.unwrap();
                // A missing message shows as a test that does not end: say so instead.
                tokio::time::timeout(Duration::from_mins(1), async {
                    while listener.next().await.is_some_and(|message| message != ours) {}
                })
                .await
                .unwrap();
            }
        })
        .await;

    assert_eq!(heard.len(), 60);
}
