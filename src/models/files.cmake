target_sources(etalage PRIVATE
  src/models/factor_model.cpp
  src/models/recommender.cpp
  src/models/top_k.cpp)
