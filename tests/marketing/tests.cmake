# SPDX-License-Identifier: Apache-2.0
etalage_test(marketing/audience_test.cpp LABELS threaded)
etalage_test(marketing/budget_allocation_test.cpp LABELS threaded)
etalage_test(marketing/frequent_sets_test.cpp LABELS threaded)
etalage_test(marketing/lifetime_test.cpp LABELS threaded)
etalage_test(marketing/linear_uplift_test.cpp)
etalage_test(marketing/offer_desk_test.cpp LABELS threaded)
etalage_test(marketing/page_test.cpp)
