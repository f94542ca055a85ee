//! What every back end must do, written once and run over each; and what only Redis can suffer,
//! in each of its forms.

mod bench;
mod budgets;
mod caches;
mod cluster;
mod copies;
mod forms;
mod indexes;
mod leases;
mod ledgers;
mod outages;
mod queues;
mod sentinels;
mod server;
mod signals;
mod tls;

use std::sync::Arc;

/// Makes a test of each behaviour over each back end.
macro_rules! run_over_every_back_end {
    ($($kind:ident: $($behaviour:ident),+;)+) => {
        mod over_memory {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$kind::$behaviour(super::bench::Bench::over_memory()).await;
                }
            )+)+
        }

        /// Every behaviour over one Redis, some at a time: most of them wait most of the time.
        async fn run_all(redis: Arc<impl forms::Redis>) {
            let bench = || bench::Bench::over(Arc::clone(&redis));
            let all: Vec<(&str, futures_util::future::BoxFuture<'static, ()>)> =
                vec![$($((stringify!($behaviour), Box::pin($kind::$behaviour(bench())))),+),+];
            bench::run_some_at_a_time(all).await;
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_redis_all_is_the_same() {
    let Some(server) = server::RedisServer::start() else { return };
    run_all(Arc::new(server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_all_is_the_same() {
    let Some(server) = forms::Secured::start() else { return };
    run_all(Arc::new(server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels_all_is_the_same() {
    let Some(servers) = forms::Watched::start() else { return };
    run_all(Arc::new(servers)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_cluster_all_is_the_same() {
    let Some(servers) = forms::Cluster::start(0) else { return };
    run_all(Arc::new(servers)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels_over_tls_all_is_the_same() {
    let Some(servers) = forms::Watched::start_over_tls() else { return };
    run_all(Arc::new(servers)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_cluster_over_tls_all_is_the_same() {
    let Some(servers) = forms::Cluster::start_over_tls(0) else { return };
    run_all(Arc::new(servers)).await;
}

/// Makes one test of many that wait most of the time, and name themselves when they fail.
macro_rules! run_together {
    (fn $name:ident(): $($test:ident::$behaviour:ident),+ $(,)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 8)]
        async fn $name() {
            bench::run_some_at_a_time(vec![$((stringify!($behaviour), Box::pin($test::$behaviour()))),+]).await;
        }
    };
}

run_together! {
    fn servers_that_come_and_go_cost_nothing_but_time():
        sentinels::a_killed_master_is_replaced_and_comes_back_as_a_replica,
        sentinels::over_tls_a_killed_master_is_replaced_and_comes_back_as_a_replica,
        sentinels::who_asked_nothing_during_a_failover_writes_to_the_new_master,
        sentinels::while_the_master_hangs_errors_come_soon_and_then_there_is_another,
        sentinels::sentinels_that_hang_or_are_gone_hide_nothing,
        sentinels::without_a_sentinel_callers_wait_for_none_but_one,
        sentinels::what_is_wrong_is_told_without_a_password,
        sentinels::it_tells_who_is_the_master_and_what_each_sentinel_says,
        cluster::a_killed_master_is_replaced_and_the_others_go_on_meanwhile,
        cluster::over_tls_a_killed_master_is_replaced_and_the_others_go_on_meanwhile,
        cluster::while_a_master_hangs_its_keys_fail_at_once_and_no_others,
        cluster::a_master_that_hangs_is_replaced_and_may_come_back,
        cluster::who_listens_to_a_server_that_dies_listens_to_another,
        cluster::a_slot_that_moves_under_load_costs_no_error,
        cluster::every_server_learns_every_script,
        cluster::keys_lie_where_the_servers_say,
        cluster::it_tells_of_every_server_and_of_slots_without_one,
}

run_over_every_back_end! {
    leases:
        one_of_many_callers_gets_the_lease,
        a_lease_ends_when_its_time_is_over,
        a_renewed_lease_lasts_longer,
        each_owner_has_a_greater_fence,
        a_lost_lease_cannot_be_renewed,
        a_lease_that_is_not_ours_cannot_be_released,
        leases_of_other_keys_are_free;
    signals:
        a_message_reaches_all_who_listen_to_its_topic_and_nobody_else,
        messages_come_in_order_and_whole,
        nobody_listening_is_no_error,
        a_topic_can_be_left_and_joined_again,
        many_callers_may_join_and_leave_at_once;
    budgets:
        no_more_than_the_capacity_is_spent_at_once,
        many_callers_share_one_budget,
        there_is_enough_after_the_time_it_said,
        what_is_refused_costs_nothing,
        more_than_the_capacity_empties_the_bucket_but_passes,
        nothing_can_be_spent_from_an_empty_bucket;
    caches:
        a_value_is_found_until_its_time_is_over,
        a_forgotten_value_is_gone,
        the_last_value_counts,
        any_bytes_can_be_kept;
    indexes:
        members_come_by_score_then_by_name,
        a_range_ends_at_its_score_and_its_limit,
        a_member_is_listed_once_and_moves,
        a_removed_member_is_gone,
        indexes_are_apart,
        callers_at_once_never_exceed_the_most,
        members_that_are_dead_make_room,
        a_member_does_not_count_against_itself,
        names_are_taken_as_they_are,
        whoever_comes_and_goes_the_most_is_not_exceeded,
        what_was_written_last_is_read_and_counted;
    ledgers:
        a_claim_counts_until_it_is_given_up,
        a_claim_counts_until_its_time_is_over,
        a_claim_that_is_repeated_replaces_itself,
        claims_at_once_never_exceed_the_bytes,
        claims_at_once_never_exceed_the_files,
        entries_at_once_never_exceed_the_bytes,
        entries_at_once_never_exceed_the_files,
        claims_and_entries_at_once_never_exceed_the_period,
        an_upload_that_was_claimed_always_fits,
        an_entry_takes_the_place_of_its_claim,
        an_entry_may_be_larger_than_its_claim_where_there_is_room,
        an_entry_needs_no_claim,
        entering_twice_counts_once,
        an_entry_that_changes_its_size_is_checked_for_what_it_grows_by,
        a_smaller_allowance_does_not_refuse_what_is_held_already,
        striking_gives_room_back_and_twice_is_harmless,
        there_is_room_in_the_period_after_the_time_it_said,
        what_no_period_has_room_for_waits_a_whole_one,
        striking_gives_nothing_of_the_period_back,
        giving_a_claim_up_gives_its_part_of_the_period_back,
        a_rebuilt_ledger_does_not_spend_the_period_on_what_is_old,
        a_period_counts_from_when_it_is_set,
        entries_come_by_time_in_pages,
        an_entry_moves_to_its_new_time,
        accounts_are_apart,
        odd_names_are_taken_as_they_are,
        an_allowance_of_nothing_refuses_all,
        without_limits_all_is_admitted,
        nothing_is_held_by_those_we_do_not_know,
        what_was_entered_last_is_read_and_counted;
    copies:
        entries_entered_together_count_each_once_and_keep_the_later_time,
        members_move_to_later_times_alone_and_only_if_they_are_there,
        who_is_later_is_not_struck_out,
        of_many_who_strike_one_does,
        times_come_in_their_order,
        many_at_once_are_taken;
    queues:
        jobs_come_in_the_order_in_which_they_were_added,
        a_queue_takes_no_more_than_the_most_and_says_how_many_wait,
        adding_at_once_never_exceeds_the_most,
        each_job_goes_to_one_of_many_consumers,
        a_job_that_is_done_is_gone_whoever_holds_it,
        what_a_dead_consumer_held_another_takes_over_before_new_jobs,
        nobody_takes_over_what_is_held,
        a_job_that_is_given_back_unbegun_is_free_at_once_and_was_not_tried,
        a_job_that_failed_is_free_after_a_while_and_each_try_counts,
        what_is_set_aside_is_kept_with_its_reason_and_nobody_takes_it,
        only_so_many_are_kept_aside_and_they_come_in_pages,
        what_was_set_aside_can_be_forgotten_one_by_one_or_all,
        what_was_set_aside_can_be_tried_again_as_far_as_there_is_room,
        a_queue_tells_how_it_stands,
        consumers_that_are_gone_and_hold_nothing_are_forgotten,
        queues_are_apart_and_take_any_text;
}
