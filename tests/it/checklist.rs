//! The checklist of the protocol: each of its lines, and the tests that hold it.
//!
//! Names of tests of the processes are those below `tests/it`; the others are beside the code.
//!
//! | line | tests |
//! |---|---|
//! | every alias reaches the same handler; 405, 404 | `every_path_asks_first_who_is_there` `every_path_tells_a_wrong_method_which_are_right` `what_is_no_path_is_unrecognized` `what_came_by_any_path_is_had_by_every_path` `what_was_created_by_any_path_is_filled_by_every_path` `without_legacy_media_nobody_gets_any_without_a_token` |
//! | OPTIONS everywhere; CORS on every answer | `every_path_answers_a_preflight_of_anyone` `web_pages_may_read_every_answer` `who_copes_with_a_redirect_is_sent_and_everybody_else_gets_the_bytes` |
//! | 401 before parameters; an outage is no 401; `soft_logout` | `every_path_asks_first_who_is_there` `a_homeserver_that_is_down_logs_nobody_out` `a_homeserver_that_is_gone_logs_nobody_out` `what_the_homeserver_refuses_reaches_the_client_unchanged` |
//! | guests; bridges and their `user_id` | `guests_look_and_do_not_touch` `only_those_who_are_named_may_call` `a_bridge_uploads_in_the_name_of_the_server_of_whom_it_acts_for` `a_bridge_uploads_on_the_account_of_whom_it_acts_for` |
//! | ids that are none, on all trees | `malformed_ids_are_not_found` `nobody_climbs_out_of_a_folder` `what_is_no_id_is_not_found_by_any_path` `what_is_no_server_name_is_not_found_by_any_path` |
//! | uploads of every length, and broken off | `an_upload_needs_no_length` `an_empty_file_and_one_of_unknown_length_are_files_too` `exactly_the_limit_is_not_over_it` `the_limit_is_exact` `a_length_over_the_limit_is_refused_before_any_body` `a_body_without_length_is_refused_at_the_limit` `a_huge_length_is_answered_before_the_body` `what_breaks_off_is_no_upload` `a_client_that_leaves_in_the_middle_leaves_nothing_behind` |
//! | types | `harmless_types_are_shown_inline` `other_types_are_attachments` `what_is_no_type_is_octet_stream` `odd_but_valid_types_are_kept_as_given` |
//! | file names, ours and those of others | `a_name_from_the_query_comes_back` `a_name_from_the_path_comes_back` `a_long_name_is_kept_or_refused_but_never_cut` `a_name_from_another_server_is_read_in_every_form` `names_are_read_in_every_form` |
//! | create and put: order, one winner, broken off, killed | `what_is_wrong_is_told_in_order_and_before_the_body` `of_twenty_uploads_to_one_id_exactly_one_wins` `of_twenty_uploads_by_two_instances_exactly_one_wins` `a_created_id_is_free_again_when_its_upload_broke_off` `an_id_is_free_again_when_the_instance_that_filled_it_is_killed` `a_power_cut_loses_nothing_that_was_acknowledged` |
//! | waiting, on two nodes, with every `timeout_ms` | `who_waits_at_one_instance_is_woken_by_an_upload_at_the_other` `who_waits_learns_that_the_id_has_expired` `who_does_not_want_to_wait_does_not` `nobody_waits_longer_than_the_operator_allows` `what_is_pending_elsewhere_is_asked_for_again` |
//! | pending on legacy paths, and the freeze after it | `what_is_pending_is_told_as_such_before_the_freeze` |
//! | freeze | `what_was_here_before_stays_and_what_comes_after_needs_a_token` `after_the_freeze_only_exempt_media_are_for_everybody` `an_exempt_medium_of_another_server_is_fetched`; what was evicted and is fetched again counts as new |
//! | `allow_redirect` | `whoever_would_follow_a_redirect_gets_the_bytes` `who_copes_with_a_redirect_is_sent_and_everybody_else_gets_the_bytes` `a_request_that_a_redirect_does_not_help_is_answered_here` `a_place_is_told_right_to_the_byte` `a_url_of_our_own_serves_as_a_download_does` `a_bucket_serves_what_is_an_attachment` `a_gateway_makes_a_bucket_fit_for_everything` `a_network_checks_urls_and_keeps_what_it_has_served` `synapse_fetches_from_where_it_is_told` `who_copes_is_sent_to_the_other_server_and_nothing_is_taken_in` |
//! | the federation body, sent and read | `the_frame_is_right_to_the_byte` `the_body_is_as_other_servers_parse_it` `every_form_that_software_sends_is_accepted` `bodies_that_are_not_two_parts_are_refused` `any_content_in_any_pieces_comes_out_as_it_went_in` |
//! | `Location` parts of others | `a_location_is_read_with_and_without_its_blank_line` `a_location_is_followed_without_a_signature` `a_location_that_must_not_be_followed_is_refused` `an_expired_location_makes_us_ask_once_more` |
//! | fallback to older endpoints | `older_endpoints_are_tried_in_order_without_a_signature_and_remembered` `an_older_endpoint_is_tried_only_if_this_one_is_unknown` `every_other_answer_is_final` `an_old_server_is_asked_by_its_old_path` `no_other_answer_leads_to_the_old_path` |
//! | resolution of server names | `addresses_and_ports_are_taken_without_asking` `a_name_is_followed_to_where_its_well_known_points` `a_well_known_answer_is_followed_through_redirects_and_remembered` `without_a_valid_answer_the_name_itself_is_taken` `a_literal_is_connected_to_and_the_certificate_is_for_it` `a_name_with_a_port_is_looked_up_and_nothing_else` `a_delegate_is_an_address_or_a_name_with_a_port` `a_delegate_without_a_port_is_found_by_services_newer_ones_first` `a_delegate_without_anything_is_at_the_default_port_and_not_asked_again` `without_well_known_services_of_the_name_itself_count` `without_anything_the_name_itself_is_at_the_default_port` `the_name_of_a_target_is_never_the_name_in_the_certificate` `a_nameserver_that_fails_or_is_silent_moves_nobody_to_the_default_port` `where_it_does_not_answer_the_usual_server_is_asked_and_for_a_while_that_alone` `certificates_are_checked_and_private_addresses_refused` `an_answer_is_believed_as_its_headers_say_within_bounds` |
//! | X-Matrix | `bytes_are_signed_as_in_the_appendices` `a_request_has_the_header_and_the_signature_of_the_vector` `every_spelling_that_software_sends_is_read` `the_destination_may_be_absent` `a_signature_may_be_written_in_every_usual_form` `a_signature_holds_for_nothing_else` `the_target_is_signed_as_it_was_sent` `a_final_question_mark_may_be_left_out_of_the_signature` |
//! | keys | `a_key_that_has_expired_proves_nothing` `the_vector_of_the_reference_is_believed_for_seven_days` `a_key_of_another_name_proves_nothing` `a_document_without_a_good_signature_proves_nothing` `an_old_key_proves_nothing` `a_server_gets_its_way_with_a_changed_key_once_the_old_one_expires` `a_flood_of_unknown_keys_reaches_nobody` `an_unknown_key_makes_us_ask_again_at_most_once_a_minute` `who_gives_its_keys_is_not_asked_about_elsewhere` `what_one_of_the_two_has_not_signed_is_refused` |
//! | thumbnails | `the_sizes_of_the_specification_are_made` `nothing_is_made_larger` `a_turned_picture_stands_upright` `an_animated_picture_stands_still` `other_servers_get_the_same_thumbnail` `any_picture_in_any_box_follows_the_rule`; GIF, WebP and moving thumbnails later: only JPEG and PNG are read yet, see `a_gif_does_not_come_back_as_it_is` |
//! | previews | `previews_are_switched_off` `a_page_is_previewed_and_its_picture_is_a_medium_of_ours` `no_url_leads_to_an_address_that_is_not_public` `what_cannot_be_a_url_is_an_invalid_parameter` `every_path_of_previews_answers_the_same` `whatever_synapse_finds_on_a_page_is_found` |
//! | `ETag`, 304, ranges | `not_modified_is_said_only_to_those_who_may_have_it` `a_tag_tells_content_apart_and_nothing_else` `one_part_of_a_stored_file` `several_parts_of_a_stored_file` `what_is_no_range_is_ignored_and_what_is_beyond_the_end_is_told` `a_part_is_for_who_has_the_same_file` `a_part_of_a_file_that_is_still_arriving` `a_part_of_a_file_of_unknown_length_waits_for_its_end` `a_file_of_unknown_length_begins_at_once_for_a_player` |
//! | versions; the number of the config | `flags_are_added_to_those_of_the_homeserver` `the_version_that_clients_look_for_is_there_once` `a_token_that_has_expired_hides_nothing` `no_list_is_invented` `clients_learn_how_large_an_upload_may_be` `limits_and_usage_are_told_by_every_path` |

mod answers;
mod callers;
mod created;
mod federation;
mod ids;
mod keys;
mod later;
mod names;
mod pending;
mod thumbnails;
mod uploads;

/// Lines of the checklist.
const LINES: usize = 23;

#[test]
fn each_line_names_tests_that_exist() {
    let code = crate::documents::all_code();
    let table = include_str!("checklist.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    // Without the head of the table.
    let rows: Vec<&str> = table.skip(1).collect();

    assert_eq!(rows.len(), LINES);
    for row in rows {
        let (_, tests) = row.split_once(" | ").unwrap();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
        assert!(!names.is_empty(), "no test holds {row}");
        for name in names {
            assert!(code.contains(&format!("fn {name}(")), "there is no test {name}");
        }
    }
}
