target_sources(etalage PRIVATE src/models/recommender.cpp)
