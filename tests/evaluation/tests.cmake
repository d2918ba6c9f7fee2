# SPDX-License-Identifier: Apache-2.0
etalage_test(evaluation/evaluator_test.cpp LABELS threaded)
etalage_test(evaluation/metrics_test.cpp)
etalage_test(evaluation/split_test.cpp)
etalage_test(evaluation/statistics_test.cpp LABELS threaded)
etalage_test(evaluation/ties_test.cpp LABELS threaded)
