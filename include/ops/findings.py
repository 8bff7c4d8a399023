"""The findings of ``make doctor`` and of the ops page: every fault has one code, one sentence, one advice.

Every code below has its own heading in docs/runbook.md (a test checks it).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

#: code → what a person should do
ACTIONS: dict[str, str] = {
    "not_running": "Запустите: make up",
    "supervisor_dead": "Надзор убит, программы остались без присмотра. Верните его: make up",
    "program_down": "Подождите минуту; если не вернулась, смотрите её журнал.",
    "program_trouble": "Прочитайте конец её журнала и устраните причину; надзор продолжает попытки сам.",
    "program_frozen": "Разбудите её: kill -CONT и номер процесса; не помогло – kill -KILL, надзор запустит новую.",
    "page_silent": "Смотрите журнал logs/api-server.log; перезапуск: make down && make up",
    "database_down": "Смотрите журнал logs/postgres.log; если сервер свой, проверьте адрес и доступ.",
    "schema_missing": "Выполните: make migrate",
    "clock_skew": "Поправьте часы машины (служба времени, NTP) и перезапустите программу: make down && make up",
    "job_silent": "Программа жива, но не отмечается: смотрите её журнал; перезапуск: make down && make up",
    "replica_silent": "Остальные работают за неё. Смотрите её журнал; зависшую завершите: надзор запустит новую.",
    "relay_silent": "События не становятся процессами. Смотрите logs/engine.log (слово relay).",
    "relay_deaf": "События начнут процессы с опозданием до 5 с. Адрес базы должен вести к ней прямо, без пула.",
    "relay_lag": "Очередь событий стоит. Если процессы стоят на паузе или не разобраны, начните с них.",
    "listener_missing": "Процесс для события не разобран: смотрите ошибки разбора и папку dags/.",
    "dead_letters": "Откройте список на странице обслуживания, исправьте причину и повторите события.",
    "hub_silent": "Ожидания проснутся лишь при обходе раз в 30 с. Смотрите logs/engine.log (слово hub).",
    "reconciler_silent": "Сверка с Airflow не идёт. Смотрите logs/engine.log (слово reconciler).",
    "nudge_missing": "Всё работает, но медленнее. Верните подсказку: make migrate",
    "nudge_deaf": "Следующие шаги начнутся при обходе раз в 30 с. Адрес базы Airflow должен вести к ней прямо.",
    "process_paused": "Снимите паузу в Airflow: дела этого процесса стоят.",
    "process_stale": "Файл процесса исчез или не читается: верните его, живые дела стоят.",
    "process_import_error": "Исправьте файл процесса: до этого работает его прежняя версия или никакая.",
    "callback_backlog": "Разбор процессов не успевает: смотрите logs/dag-processor.log и нагрузку машины.",
    "step_failed": "Откройте список на странице обслуживания, устраните причину и нажмите «Повторить».",
    "step_marked": "Шаг отметили в Airflow, а факт не наступил. «Повторить» на странице обслуживания вернёт его.",
    "wait_overdue": "Проверьте двигатель (журнал logs/engine.log, слово hub); перезапуск: make down && make up",
    "wait_deaf": "Ожидания не видят перемен. Начните с hub_silent; затем перезапустите двигатель (engine).",
    "triggerer_full": "Добавьте ещё один triggerer: make down && REPLICAS=triggerer=2 make up",
    "triggers_unassigned": "Ожидания чужих операторов никем не взяты: проверьте, что triggerer работает.",
    "invariant_broken": "Этого быть не должно: сохраните журналы и вывод доктора и передайте разработчику.",
    "nightly_failed": "Откройте журнал запуска в Airflow, устраните причину и запустите снова (Trigger).",
    "nightly_late": "Планировщик не начал ночной запуск: проверьте его и паузу; запустите сами (Trigger).",
    "disk_low": "Освободите место: logs/ можно чистить, postgres/ и files/ нельзя.",
    "inodes_low": "Кончаются не байты, а имена файлов: удалите старые журналы в logs/tasks/.",
    "files_unavailable": "Проверьте, что папка есть, подключена и в неё можно писать (BACKOFFICE_FILES).",
    "backup_old": "Сделайте копию (make backup) и проверьте её расписание.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what, and what to do."""

    code: str
    text: str
    action: str


def finding(code: str, text: str) -> Finding:
    """Make a finding; its action stands in ACTIONS."""
    return Finding(code, text, ACTIONS[code])


def span(age: timedelta) -> str:
    """Return a length of time as a person says it: «40 с», «5 мин», «3 ч»."""
    seconds = int(age.total_seconds())
    if seconds < 120:
        return f"{seconds} с"
    if seconds < 7200:
        return f"{seconds // 60} мин"
    return f"{seconds // 3600} ч"
