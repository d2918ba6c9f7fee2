etalage_tests(evaluation attribution experiment metrics split)
etalage_tests(evaluation evaluator off_policy statistics ties LABELS threaded)
# SPDX-License-Identifier: Apache-2.0
