# SPDX-License-Identifier: Apache-2.0
etalage_test(marketing/budget_allocation_test.cpp LABELS threaded)
