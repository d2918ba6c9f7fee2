# SPDX-License-Identifier: Apache-2.0
etalage_test(evaluation/attribution_test.cpp)
etalage_test(evaluation/evaluator_test.cpp LABELS threaded)
etalage_test(evaluation/experiment_test.cpp)
etalage_test(evaluation/metrics_test.cpp)
etalage_test(evaluation/off_policy_test.cpp LABELS threaded)
etalage_test(evaluation/split_test.cpp)
etalage_test(evaluation/statistics_test.cpp LABELS threaded)
etalage_test(evaluation/ties_test.cpp LABELS threaded)
