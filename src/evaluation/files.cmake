target_sources(etalage PRIVATE
  src/evaluation/compare.cpp
  src/evaluation/evaluation.cpp
  src/evaluation/evaluator.cpp
  src/evaluation/metrics.cpp
  src/evaluation/split.cpp
  src/evaluation/statistics.cpp
  src/evaluation/tie_groups.cpp)
