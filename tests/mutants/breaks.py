"""The breaks that ``make mutants`` plants, each with the test that must turn red."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Break:
    """One place made wrong: in ``file`` the text ``right`` becomes ``wrong``, and ``test`` must notice."""

    name: str
    says: str
    file: str
    right: str
    wrong: str
    test: str

    def planted_in(self, text: str) -> str:
        """Return the file with the break; ValueError when its place is not there exactly once."""
        if text.count(self.right) != 1:
            msg = f"{self.name}: место поломки в {self.file} встречается {text.count(self.right)} раз"
            raise ValueError(msg)
        return text.replace(self.right, self.wrong)


QUOTE = "tests/rehearsals/test_goods_quote.py::"
APPROVAL = "tests/rehearsals/test_contract_approval.py::"
WORDS = "tests/db/test_words.py::"

BREAKS = [
    Break(
        "guard_gone",
        "охрана задачи не держит: закрыть можно без файла (R002-63)",
        "include/tasks/services.py",
        "    if missing:\n        raise GuardRefused(missing)\n",
        "",
        f"{APPROVAL}test_the_draft_needs_its_file",
    ),
    Break(
        "alarm_not_re_aimed",
        "момент ожидания не переносится вслед за полем (★13)",
        "include/process/engine.py",
        "        row.waits_for, row.waits_on, row.moment = answer.for_what, answer.on, answer.moment\n",
        "        row.waits_for, row.waits_on, row.moment = answer.for_what, answer.on, row.moment or answer.moment\n",
        f"{WORDS}test_a_term_chosen_by_a_field_follows_it",
    ),
    Break(
        "effect_doubled",
        "повторный взгляд после перезапуска напоминает ещё раз",
        "include/process/words.py",
        '        step.row.result = {"times": told, "due": due.isoformat()}\n',
        '        step.row.result = {"times": told}\n',
        f"{WORDS}test_looked_at_again_and_again_it_tells_once",
    ),
    Break(
        "decider_not_re_resolved",
        "сменился ответственный, а нового руководителя не спросили (R002-62)",
        "include/process/lifecycle.py",
        "    work.session.flush()\n    approvals.addresses_changed(work, case_id)\n",
        "    work.session.flush()\n",
        f"{APPROVAL}test_a_new_responsible_brings_a_new_head_to_decide",
    ),
    Break(
        "topic_doubled",
        "новая задача темы не заменяет прежнюю (AG-7)",
        "include/process/words.py",
        "    if same_topic is not None:\n",
        "    if same_topic is None:\n",
        f"{QUOTE}test_a_changed_date_replaces_the_open_task",
    ),
    Break(
        "wait_does_not_give_way",
        "12 часов ждут дальше, хотя обратную связь уже запросили заново (R002-19)",
        "include/process/words.py",
        "    if successor is not None:\n",
        "    if successor is None and False:\n",
        f"{QUOTE}test_a_date_changed_during_the_twelve_hours_takes_over",
    ),
    Break(
        "stage_left_work_stays",
        "сделка ушла со стадии, а задачи остались (AG-6)",
        "include/process/lifecycle.py",
        '            task_core.end(work, task, "withdrawn", LEFT_STAGE)\n    waiting',
        "            continue\n    waiting",
        f"{QUOTE}test_dragged_away_and_back_at_each_step",
    ),
    Break(
        "file_change_voids_nothing",
        "файл сменили после согласования, и оно осталось в силе (★40)",
        "include/documents/services.py",
        "    approvals.file_replaced(work, case_id, field, version)\n",
        "",
        f"{APPROVAL}test_a_file_replaced_after_the_approval_voids_it",
    ),
    Break(
        "remark_optional",
        "отклонить можно без замечания (R002-65)",
        "include/approvals/services.py",
        'needed=state == "rejected"',
        "needed=False",
        f"{APPROVAL}test_a_refusal_needs_its_reason",
    ),
    Break(
        "own_approval",
        "инициатор согласует своё",
        "include/approvals/people.py",
        "    return {one for one in own if one is not None}\n",
        "    return set()\n",
        f"{APPROVAL}test_nobody_approves_his_own",
    ),
    Break(
        "link_never_expires",
        "ссылка из письма действует вечно",
        "include/approvals/links.py",
        "    if link.expires_at <= now:\n",
        "    if link.expires_at is None:\n",
        "tests/db/test_approvals.py::test_a_link_expires",
    ),
    Break(
        "debt_forgotten",
        "долг не пересчитан после изменения суммы (R002-74)",
        "include/deals/debt.py",
        "    if after == before:\n        return\n    deal.debt",
        "    if after != before:\n        return\n    deal.debt",
        "tests/db/test_debt.py::test_debt_follows_every_change_of_either_sum",
    ),
    Break(
        "role_keeps_its_work",
        "роль передали, открытая работа осталась у прежнего (R001-17)",
        "include/staff/roles.py",
        "    moved = structure.holders_changed(work, role.code, to.id, reason or None)\n",
        "    moved = 0\n",
        "tests/db/test_roles.py::test_a_new_mapping_moves_open_and_new_work",
    ),
    Break(
        "substitute_for_ever",
        "заместитель действует и после возвращения",
        "sql/queries/staff/acts_for.sql",
        "      AND absence.begins_at <= :now AND absence.ends_at > :now\n      AND NOT EXISTS",
        "      AND absence.begins_at <= :now\n      AND NOT EXISTS",
        "tests/db/test_absence.py::test_the_period_begins_inclusive_and_ends_exclusive",
    ),
    Break(
        "reopened_steps_act_again",
        "после «открыть снова» сделанные шаги повторяют свои действия (★11)",
        "include/process/reopen.py",
        "            session.add(_copy(row, new))\n",
        "            continue\n",
        "tests/db/test_reopen.py::test_a_field_set_before_it_is_no_obstacle_and_is_not_set_again",
    ),
    Break(
        "retention_by_age_alone",
        "уборка смотрит только на возраст: открытая сделка теряет своё",
        "sql/queries/retention/ended_cases.sql",
        "  AND (deal.id IS NULL OR deal.closed_at IS NOT NULL)\n",
        "",
        "tests/db/test_retention.py::test_a_live_case_is_not_touched_however_old",
    ),
    Break(
        "export_of_one_group_empties_the_rest",
        "полная выгрузка одной группы снимает товары остальных (R002-8)",
        "sql/queries/exchange_1c/deactivate_absent.sql",
        "    INNER JOIN scope ON scope.group_external_id IS NOT DISTINCT FROM known.group_external_id\n",
        "    CROSS JOIN scope\n",
        "tests/db/test_exchange_1c_unit.py::test_a_full_export_of_one_group_never_deactivates_the_rest",
    ),
    Break(
        "nobody_is_asked",
        "слишком много снимается без вопроса",
        "include/exchange_1c/applying.py",
        "    if decision is None and _is_too_much(work, found):\n",
        "    if decision is None and False:\n",
        "tests/db/test_exchange_1c_unit.py::test_too_much_is_held_and_a_person_is_asked",
    ),
    Break(
        "queue_is_overtaken",
        "новый обмен загружается раньше того, который ждёт решения",
        "include/exchange_1c/services.py",
        "        if held is not None:\n",
        "        if held is not None and False:\n",
        "tests/db/test_exchange_1c_unit.py::test_newer_ones_wait_in_order_and_nothing_is_lost",
    ),
    Break(
        "joined_card_keeps_its_deals",
        "соединённая карточка оставляет сделки себе (R003-6)",
        "include/companies/twins.py",
        "    rows = {_name(column): _move(work, column, other.id, kept.id) for column in references()}\n",
        "    rows = {_name(column): [] for column in references()}\n",
        "tests/db/test_twins.py::test_joining_moves_everything_and_gives_what_1c_knows",
    ),
    Break(
        "full_log_disk_stops_a_program",
        "на полном диске журналов программа падает",
        "include/installation/outlet.py",
        "            if error.errno not in FULL:\n",
        "            if error.errno:\n",
        "tests/installation/test_outlet.py::test_a_program_on_a_full_disk_ends_well",
    ),
    Break(
        "hanging_program_is_left",
        "программа, чья работа окончена, а процесс висит, остаётся навсегда",
        "include/installation/watchdog.py",
        "        if life is not None and life.ended:\n",
        "        if life is not None and life.ended and False:\n",
        "tests/installation/test_watchdog.py::test_who_has_ended_and_lives_is_found_once",
    ),
]
