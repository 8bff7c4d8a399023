"""All tables of the business database, imported once so that the metadata is whole (migrations, tests)."""

from include.approvals import models as approvals
from include.companies import models as companies
from include.deals import models as deals
from include.documents import models as documents
from include.exchange_1c import models as exchange_1c
from include.money import models as money
from include.notices import models as notices
from include.one_c_http import models as one_c_http
from include.orders import models as orders
from include.process import models as process
from include.reconciliation import models as reconciliation
from include.retention import models as retention
from include.shared import models as shared
from include.shared.db import Base
from include.staff import models as staff
from include.talk import models as talk
from include.tasks import models as tasks

metadata = Base.metadata

__all__ = [
    "approvals",
    "companies",
    "deals",
    "documents",
    "exchange_1c",
    "metadata",
    "money",
    "notices",
    "one_c_http",
    "orders",
    "process",
    "reconciliation",
    "retention",
    "shared",
    "staff",
    "talk",
    "tasks",
]
