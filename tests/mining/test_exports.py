"""Is every real export and log read by the right source, whole, with its known counts?

Every file of ../shared/data/exports alone, each folder as one call, and the large logs. A file that
the tables do not name fails the test. The counts of the large logs are those of
../shared/data/README.md; the rest was read off the files.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, find_mapping, open_log

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
EXPORTS = SHARED / "exports"
UCI = SHARED / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
BPI13 = SHARED / "bpic13" / "BPIC13_closed_problems.xes.gz"
BPI14 = SHARED / "bpic14" / "BPIC14_sample4000_incident_activity.csv.gz"
CSAT = SHARED / "csat" / "technical_support_dataset.csv"
needs_data = pytest.mark.skipif(not EXPORTS.is_dir(), reason="shared/data is missing")

# source, cases, events, rows in (none is refused), or the code of the one error
Outcome = str | tuple[str, int, int, int]
# file → what it gives alone. LG085, LG086, LG088: a table of the tool that tells of no ticket;
# LG034: tickets without an event; LG083: display values whose zone must be
# declared (test_sources_servicenow does)
FILES: dict[str, Outcome] = {
    "devlake_github/_raw_github_api_events.csv": ("github", 18, 44, 50),
    "devlake_github/_raw_github_api_issues.csv": ("github", 41, 82, 42),
    "devlake_github/_tool_github_issues.csv": ("github", 26, 52, 26),
    "devlake_issue_trace/board_issues.csv": "LG086",
    "devlake_issue_trace/issue_changelogs.csv": ("jira", 32, 521, 693),
    "devlake_issue_trace/issues.csv": ("jira", 32, 64, 32),
    "devlake_jira/_raw_jira_api_issue_changelogs.csv": ("jira", 3, 279, 279),
    "devlake_jira/_raw_jira_api_issue_fields.csv": "LG086",
    "devlake_jira/_raw_jira_api_issue_types.csv": "LG086",
    "devlake_jira/_raw_jira_api_issues.csv": ("jira", 33, 563, 563),
    "devlake_jira/_raw_jira_api_status.csv": "LG086",
    "devlake_opsgenie/_raw_opsgenie_incidents.csv": ("opsgenie", 2, 3, 2),
    "devlake_pagerduty/_raw_pagerduty_incidents.csv": ("pagerduty", 3, 23, 47),
    "fivetran_dbt_jira/integration_tests/seeds/comment_redshift.csv": ("jira", 3, 5, 5),
    "fivetran_dbt_jira/integration_tests/seeds/component.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/epic.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/field.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/field_option.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/issue.csv": ("jira", 4, 7, 4),
    "fivetran_dbt_jira/integration_tests/seeds/issue_field_history.csv": ("jira", 3, 10, 10),
    "fivetran_dbt_jira/integration_tests/seeds/issue_link.csv": "LG034",
    "fivetran_dbt_jira/integration_tests/seeds/issue_multiselect_history.csv": ("jira", 2, 6, 8),
    "fivetran_dbt_jira/integration_tests/seeds/issue_type.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/priority.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/project.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/project_board.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/project_category.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/resolution.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/sprint.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/status.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/status_category.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/team.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/user.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/user_group.csv": "LG086",
    "fivetran_dbt_jira/integration_tests/seeds/version.csv": "LG086",
    "fivetran_dbt_servicenow/integration_tests/seeds/change_request_data.csv": (
        "servicenow",
        1,
        1,
        1,
    ),
    "fivetran_dbt_servicenow/integration_tests/seeds/change_task_data.csv": ("servicenow", 1, 1, 1),
    "fivetran_dbt_servicenow/integration_tests/seeds/cmdb_ci_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/cmdb_ci_service_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/core_company_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/incident_data.csv": ("servicenow", 1, 1, 1),
    "fivetran_dbt_servicenow/integration_tests/seeds/problem_data.csv": ("servicenow", 1, 1, 1),
    "fivetran_dbt_servicenow/integration_tests/seeds/problem_task_data.csv": (
        "servicenow",
        1,
        1,
        1,
    ),
    "fivetran_dbt_servicenow/integration_tests/seeds/sys_choice_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/sys_user_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/sys_user_grmember_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/sys_user_group_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/sys_user_has_role_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/sys_user_role_data.csv": "LG085",
    "fivetran_dbt_servicenow/integration_tests/seeds/task_data.csv": ("servicenow", 1, 2, 1),
    "fivetran_dbt_servicenow/integration_tests/seeds/task_data_snowflake.csv": (
        "servicenow",
        1,
        2,
        1,
    ),
    "fivetran_dbt_servicenow/integration_tests/seeds/task_sla_data.csv": "LG085",
    "fivetran_dbt_zendesk/integration_tests/seeds/audit_log_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/brand_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/brand_data_postgres.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/daylight_time_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/domain_name_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/group_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/organization_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/organization_tag_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/organization_tag_data_snowflake.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/schedule_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/schedule_holiday_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/sla_policy_metric_history_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_chat_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_chat_event_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_comment_data.csv": ("zendesk", 7, 20, 20),
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_data.csv": ("zendesk", 10, 10, 10),
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_field_history_data.csv": (
        "zendesk",
        17,
        29,
        38,
    ),
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_form_history_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_schedule_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_sla_policy_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/ticket_tag_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/time_zone_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/user_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/user_data_snowflake.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/user_tag_data.csv": "LG088",
    "fivetran_dbt_zendesk/integration_tests/seeds/user_tag_data_snowflake.csv": "LG088",
    "jira_dbt/field.csv": "LG086",
    "jira_dbt/field_option.csv": "LG086",
    "jira_dbt/issue.csv": ("jira", 4, 7, 4),
    "jira_dbt/issue_field_history.csv": ("jira", 3, 10, 10),
    "jira_dbt/issue_link.csv": "LG034",
    "jira_dbt/issue_multiselect_history.csv": ("jira", 2, 6, 8),
    "jira_dbt/issue_type.csv": "LG086",
    "jira_dbt/priority.csv": "LG086",
    "jira_dbt/project.csv": "LG086",
    "jira_dbt/resolution.csv": "LG086",
    "jira_dbt/status.csv": "LG086",
    "jira_dbt/status_category.csv": "LG086",
    "jira_dbt/user.csv": "LG086",
    "servicenow_dbt/change_request_data.csv": ("servicenow", 1, 1, 1),
    "servicenow_dbt/change_task_data.csv": ("servicenow", 1, 1, 1),
    "servicenow_dbt/cmdb_ci_data.csv": "LG085",
    "servicenow_dbt/cmdb_ci_service_data.csv": "LG085",
    "servicenow_dbt/core_company_data.csv": "LG085",
    "servicenow_dbt/incident_data.csv": ("servicenow", 1, 1, 1),
    "servicenow_dbt/problem_data.csv": ("servicenow", 1, 1, 1),
    "servicenow_dbt/problem_task_data.csv": ("servicenow", 1, 1, 1),
    "servicenow_dbt/sys_choice_data.csv": "LG085",
    "servicenow_dbt/sys_user_data.csv": "LG085",
    "servicenow_dbt/sys_user_grmember_data.csv": "LG085",
    "servicenow_dbt/sys_user_group_data.csv": "LG085",
    "servicenow_dbt/sys_user_has_role_data.csv": "LG085",
    "servicenow_dbt/sys_user_role_data.csv": "LG085",
    "servicenow_dbt/task_data.csv": ("servicenow", 1, 2, 1),
    "servicenow_dbt/task_sla_data.csv": "LG085",
    "servicenow_ibm_incidents_REST.csv": ("servicenow", 67, 129, 67),
    "servicenow_samples/SOURCE.txt": "LG030",
    "servicenow_samples/elastic_excerpt.ndjson": "LG083",
    "zendesk_dbt/audit_log_data.csv": "LG088",
    "zendesk_dbt/daylight_time_data.csv": "LG088",
    "zendesk_dbt/group_data.csv": "LG088",
    "zendesk_dbt/organization_data.csv": "LG088",
    "zendesk_dbt/schedule_data.csv": "LG088",
    "zendesk_dbt/schedule_holiday_data.csv": "LG088",
    "zendesk_dbt/sla_policy_metric_history_data.csv": "LG088",
    "zendesk_dbt/ticket_comment_data.csv": ("zendesk", 7, 20, 20),
    "zendesk_dbt/ticket_data.csv": ("zendesk", 10, 10, 10),
    "zendesk_dbt/ticket_field_history_data.csv": ("zendesk", 17, 29, 38),
    "zendesk_dbt/ticket_form_history_data.csv": "LG088",
    "zendesk_dbt/ticket_schedule_data.csv": "LG088",
    "zendesk_dbt/ticket_sla_policy_data.csv": "LG088",
    "zendesk_dbt/ticket_tag_data.csv": "LG088",
    "zendesk_dbt/time_zone_data.csv": "LG088",
    "zendesk_dbt/user_data.csv": "LG088",
}
FOLDERS: dict[str, Outcome] = {
    "devlake_github": ("github", 59, 126, 118),
    "devlake_issue_trace": ("jira", 32, 552, 757),
    "devlake_jira": ("jira", 36, 842, 904),
    "devlake_opsgenie": ("opsgenie", 2, 3, 2),
    "devlake_pagerduty": ("pagerduty", 3, 23, 47),
    "fivetran_dbt_jira/integration_tests/seeds": ("jira", 6, 24, 87),
    "fivetran_dbt_servicenow/integration_tests/seeds": ("servicenow", 6, 7, 53),
    "fivetran_dbt_zendesk/integration_tests/seeds": ("zendesk", 33, 58, 272),
    "jira_dbt": ("jira", 4, 19, 60),
    "servicenow_dbt": ("servicenow", 6, 7, 52),
    "servicenow_samples": "LG030",  # SOURCE.txt is no log
    "zendesk_dbt": ("zendesk", 33, 58, 184),
}


def outcome(paths: Sequence[Path], zone: str | None = None) -> Outcome:
    """Return what the reading gives; anything that is not coded is raised, and fails the test."""
    try:
        log = open_log(paths, ReadOptions(timezone=zone))
    except CodedError as error:
        return error.code
    assert log.meta.rejects.num_rows == 0
    return log.meta.source, log.n_cases, log.n_events, log.meta.rows_in


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


@needs_data
def test_the_tables_name_every_export() -> None:
    found = [path for path in EXPORTS.rglob("*") if path.is_file()]
    assert {str(path.relative_to(EXPORTS)) for path in found} == set(FILES)
    assert {str(path.parent.relative_to(EXPORTS)) for path in found} - {"."} == set(FOLDERS)


@needs_data
@pytest.mark.parametrize("name", FILES)
def test_every_export_alone_has_its_outcome(name: str) -> None:
    assert outcome([EXPORTS / name]) == FILES[name]


@needs_data
@pytest.mark.parametrize("name", FOLDERS)
def test_every_folder_is_one_log(name: str) -> None:
    paths = files_of(EXPORTS / name)
    assert outcome(paths) == FOLDERS[name]
    assert outcome(paths[::-1]) == FOLDERS[name]


@needs_data
def test_rows_in_are_the_records_of_the_tables() -> None:
    """Where all files of a folder are tables, a row is a record below a header: counted here."""
    for name in ("jira_dbt", "zendesk_dbt", "devlake_opsgenie", "servicenow_dbt"):
        known = FOLDERS[name]
        assert not isinstance(known, str)
        records = 0
        for path in files_of(EXPORTS / name):
            with path.open(newline="", encoding="utf-8-sig") as file:
                records += sum(1 for row in csv.reader(file) if row) - 1
        assert (name, records) == (name, known[3])


# --- the large logs


@needs_data
def test_the_uci_slice_is_read_whole() -> None:
    log = open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow")))
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (13_302, 81_519, 81_519)


@needs_data
def test_bpi_2013_is_read_whole() -> None:
    log = open_log([BPI13])
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (1_487, 6_660, 6_660)
    ways = log.to_pandas().groupby("case_id")["activity"].agg(tuple)
    steps = log.to_pandas().assign(step=lambda f: f["activity"] + "+" + f["lifecycle"])
    assert ways.nunique() == 183
    assert steps.groupby("case_id")["step"].agg(tuple).nunique() == 327


@needs_data
def test_bpi_2014_is_read_whole_as_it_is_labelled() -> None:
    """Activities and their incidents, a table of cases: a row of either is a row in."""
    paths = [BPI14, BPI14.with_name("BPIC14_sample4000_incident.csv.gz")]
    log = open_log(paths, ReadOptions(mapping=find_mapping("bpic14_rabobank")))
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (4_000, 39_911, 39_911 + 4_000)
    assert any("local times" in note for note in log.meta.notes)
    with gzip.open(BPI14, "rt", encoding="utf-8", newline="") as file:
        stamps = sorted(row["timestamp_utc"] for row in csv.DictReader(file))
    frame = log.to_pandas()
    assert frame["at"].min().isoformat() == stamps[0].replace("Z", "+00:00")
    assert frame["at"].max().isoformat() == stamps[-1].replace("Z", "+00:00")
    # events of one second have no known order, and the log says in which cases
    tied = frame.duplicated(["case_id", "at"], keep=False).groupby(frame["case_id"]).any()
    known = log.cases.to_pandas().set_index("case_id")["order_known"]
    assert not known[tied[~tied].index].eq(False).any()  # noqa: FBT003 - the value
    assert 0 < int((~known).sum()) <= int(tied.sum())


@needs_data
def test_without_its_mapping_bpi_2014_says_what_to_declare() -> None:
    with pytest.raises(CodedError, match=r"LG042 .*incident_id, incident_activity_number"):
        open_log([BPI14])


@needs_data
def test_the_tickets_with_surveys_are_cases_with_their_scores(tmp_path: Path) -> None:
    """One row a ticket: its creation is the event, the survey's score an attribute of the case."""
    mapping = tmp_path / "csat.toml"
    mapping.write_text(
        'name = "csat"\n[time]\nformat = "%Y-%m-%d %H:%M:%S"\n'
        '[event]\ncase_id = "Ticket ID"\nactivity = { constant = "Created" }\n'
        'at = "Created time"\nteam = "Agent Group"\npeople = ["Agent Name"]\n'
        '[case]\npriority = "Priority"\ncategory = "Topic"\n'
        'resolved = { column = "Resolution time", format = "%Y-%m-%d %H:%M:%S.%f" }\n'
        'attributes = ["Survey results", "SLA For Resolution", "Status"]\n',
        encoding="utf-8",
    )
    with pytest.raises(CodedError, match=r"LG0\d\d .*zone"):
        open_log([CSAT], ReadOptions(mapping=mapping))
    log = open_log([CSAT], ReadOptions(mapping=mapping, timezone="UTC"))
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (2_330, 2_330, 2_330)
    scores = log.cases["attr.Survey results"]
    assert len(scores) - scores.null_count == 1_173
