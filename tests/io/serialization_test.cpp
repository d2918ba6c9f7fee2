// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/serialization.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <clocale>
#include <cmath>
#include <limits>
#include <locale>

#include "etalage/error.hpp"
#include "io/tiny_model.hpp"

namespace etalage {
namespace {

using testing::TempDir;
using testing::tiny_model;
using testing::TinyModel;

class Serialization : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { register_model("Tiny", &TinyModel::from_state); }
  static const TinyModel& tiny(const std::shared_ptr<const Recommender>& m) { return dynamic_cast<const TinyModel&>(*m); }
};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const FormatError& e) {
    return e.what();
  }
  return "no FormatError";
}

TEST_F(Serialization, AModelComesBackFromAFileAndFromMemory) {
  const TempDir dir;
  const TinyModel model = tiny_model();
  save(model, dir / "m.etalage");
  for (const Verify verify : {Verify::kHeader, Verify::kFull}) {
    const auto back = load(dir / "m.etalage", {.verify = verify});
    EXPECT_TRUE(same(tiny(back), model));
    EXPECT_EQ(back->user_ids()->find("d d"), 3);
    EXPECT_EQ(back->item_ids()->find(std::int64_t{-7}), 1);
    EXPECT_EQ(back->history().nnz(), 5);
    EXPECT_EQ(tiny(back).title, model.title);
    EXPECT_EQ(tiny(back).names, model.names);
    EXPECT_TRUE(std::signbit(tiny(back).objective[1]));
  }
  const auto bytes = save_to_memory(model);
  EXPECT_EQ(bytes, testing::read_bytes(dir / "m.etalage"));
  EXPECT_TRUE(same(dynamic_cast<const TinyModel&>(*load_from_memory(bytes)), model));
  EXPECT_EQ(dir.files(), 1u);
}

TEST_F(Serialization, DoublesKeepTheirBitsAndIntegersTheirEnds) {
  const std::vector<double> values{0.1, -0.0, std::numeric_limits<double>::infinity(), std::nan("7"),
                                   std::numeric_limits<double>::denorm_min()};
  const auto bytes = save_state_to_memory("Test", [&](StateWriter& w) {
    w.put_doubles("d", values);
    w.put_int("low", INT64_MIN);
    w.put_int("high", INT64_MAX);
    for (std::size_t n = 0; n < 100; ++n) w.put_string(std::to_string(n) + "s", std::string(n, static_cast<char>(n * 37)));
  });
  const StateFile file = StateFile::from_memory(bytes);
  const auto back = file.reader().get_doubles("d");
  ASSERT_EQ(back.size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(std::bit_cast<std::uint64_t>(back[i]), std::bit_cast<std::uint64_t>(values[i]));
  EXPECT_EQ(file.reader().get_int("low"), INT64_MIN);
  EXPECT_EQ(file.reader().get_int("high"), INT64_MAX);
  for (std::size_t n = 0; n < 100; ++n)
    EXPECT_EQ(file.reader().get_string(std::to_string(n) + "s"), std::string(n, static_cast<char>(n * 37)));
}

TEST_F(Serialization, ArraysOfEveryTypeAndTheEmptyOneComeBackAligned) {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{300001}}) {
      Array<T> a(n);
      for (std::size_t i = 0; i < n; ++i) a.mutable_data()[i] = static_cast<T>(i % 100);
      const auto bytes = save_state_to_memory("Test", [&](StateWriter& w) {
        w.put_array("a", a);
        w.put_array("b", a);
      });
      const StateFile file = StateFile::from_memory(bytes);
      const Array<T> b = file.reader().get_array<T>("b", n);
      EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data()) % kAlignment, 0u);
    }
  };
  check(std::int8_t{}), check(std::uint8_t{}), check(std::int16_t{}), check(std::uint16_t{}), check(std::int32_t{});
  check(std::uint32_t{}), check(std::int64_t{}), check(std::uint64_t{}), check(float{}), check(double{});
}

TEST_F(Serialization, ArraysOutliveTheModelAndAreCopiedBeforeAChange) {
  const TempDir dir;
  save(tiny_model(0.25f), dir / "m.etalage");
  const auto before = testing::read_bytes(dir / "m.etalage");
  Array<float> scores;
  {
    const auto model = load_mutable(dir / "m.etalage");
    scores = dynamic_cast<TinyModel&>(*model).scores();
    dynamic_cast<TinyModel&>(*model).mutable_scores().mutable_data()[0] = 9;
    EXPECT_EQ(dynamic_cast<TinyModel&>(*model).scores()[0], 9.0f);
  }
  std::filesystem::remove(dir / "m.etalage");
  EXPECT_EQ(scores[0], 0.25f);
  EXPECT_EQ(scores[4], 1e30f);
}

TEST_F(Serialization, TheHostsLocaleDoesNotReachTheFile) {
  struct Grouping : std::numpunct<char> {
    std::string do_grouping() const override { return "\3"; }
    char do_decimal_point() const override { return ','; }
  };
  TinyModel m = tiny_model();
  m.shift = 123456789.25;
  const auto plain = save_to_memory(m);
  const std::locale old = std::locale::global(std::locale(std::locale::classic(), new Grouping));
  const auto grouped = save_to_memory(m);
  const auto back = load_from_memory(plain);
  std::locale::global(old);
  EXPECT_EQ(plain, grouped);
  EXPECT_EQ(dynamic_cast<const TinyModel&>(*back).shift, 123456789.25);
}

TEST_F(Serialization, AskingWronglyNamesTheField) {
  const auto bytes = save_state_to_memory("Test", [](StateWriter& w) {
    w.put_int("n", 5);
    w.put_array("a", Array<float>(3));
  });
  const StateFile file = StateFile::from_memory(bytes);
  const StateReader& r = file.reader();
  EXPECT_EQ(message_of([&] { (void)r.get_int("m"); }), "bytes in memory: field 'm' of a Test file: not found, expected an integer");
  EXPECT_EQ(message_of([&] { (void)r.get_double("n"); }), "bytes in memory: field 'n' of a Test file: found another type, expected a number");
  EXPECT_EQ(message_of([&] { (void)r.get_int("n", 0, 4); }), "bytes in memory: field 'n' of a Test file: found 5, expected a value in [0, 4]");
  EXPECT_NE(message_of([&] { (void)r.get_array<std::int32_t>("a"); }).find("field 'a'"), std::string::npos);
  EXPECT_NE(message_of([&] { (void)r.get_array<float>("a", 4); }).find("found 3 elements, expected 4"), std::string::npos);
  EXPECT_NE(message_of([&] { (void)r.get_array<float>("n"); }).find("found a value, expected an array"), std::string::npos);
  EXPECT_TRUE(r.has("n") && r.has("a") && !r.has("b"));
}

TEST_F(Serialization, WritingANameTwiceOrWithoutOneIsRefused) {
  EXPECT_THROW((void)save_state_to_memory("T", [](StateWriter& w) { w.put_int("n", 1), w.put_array("n", Array<float>(1)); }), std::invalid_argument);
  EXPECT_THROW((void)save_state_to_memory("T", [](StateWriter& w) { w.put_int("", 1); }), std::invalid_argument);
  EXPECT_THROW((void)save_state_to_memory("T", [](StateWriter& w) { w.put_int(std::string(1025, 'x'), 1); }), std::invalid_argument);
  EXPECT_THROW((void)save_state_to_memory(std::string(32, 'k'), [](StateWriter&) {}), std::invalid_argument);
  EXPECT_THROW((void)save_state_to_memory("", [](StateWriter&) {}), std::invalid_argument);
}

TEST_F(Serialization, AnotherKindIsNamedBesideTheExpectedOne) {
  const auto bytes = save_state_to_memory("Teapot", [](StateWriter&) {});
  const std::string m = message_of([&] { (void)load_from_memory(bytes); });
  EXPECT_NE(m.find("kind Teapot"), std::string::npos);
  EXPECT_NE(m.find("Tiny"), std::string::npos);
  EXPECT_EQ(message_of([&] { StateFile::from_memory(bytes).require_kind("Kettle"); }),
            "bytes in memory: found a file of kind Teapot, expected Kettle");
}

TEST_F(Serialization, AFieldOfALaterVersionIsNotDroppedSilently) {
  TinyModel m = tiny_model();
  m.unknown_field = true;
  EXPECT_NE(message_of([&] { (void)load_from_memory(save_to_memory(m)); }).find("'from_the_future'"), std::string::npos);
}

TEST_F(Serialization, AnObjectInsideAnotherKeepsItsNamesApart) {
  const TinyModel a = tiny_model(1);
  const TinyModel b = tiny_model(2);
  const auto bytes = save_state_to_memory("Pair", [&](StateWriter& w) {
    ScopedWriter first(w, "members/0/");
    ScopedWriter second(w, "members/1/");
    a.save_state(first);
    b.save_state(second);
  });
  const StateFile file = StateFile::from_memory(bytes);
  const auto first = TinyModel::from_state(ScopedReader(file.reader(), "members/0/"));
  EXPECT_THROW(file.require_all_read(), FormatError);
  const auto second = TinyModel::from_state(ScopedReader(file.reader(), "members/1/"));
  file.require_all_read();
  EXPECT_TRUE(same(tiny(first), a));
  EXPECT_TRUE(same(tiny(second), b));
  EXPECT_NE(message_of([&] { (void)ScopedReader(file.reader(), "members/1/").get_int("x"); }).find("'members/1/x'"), std::string::npos);
}

TEST_F(Serialization, ABadArgumentIsNamed) {
  EXPECT_THROW(register_model("", &TinyModel::from_state), std::invalid_argument);
  EXPECT_THROW(register_model("Tiny", [](const StateReader&) { return std::shared_ptr<Recommender>(); }), std::invalid_argument);
  const TempDir dir;
  save(tiny_model(), dir / "m");
  EXPECT_THROW((void)load(dir / "m", {.num_threads = -1}), std::invalid_argument);
}

TEST_F(Serialization, FileInfoTellsWhatIsInside) {
  const TempDir dir;
  save(tiny_model(), dir / "m.etalage");
  const FileInfo info = file_info(dir / "m.etalage");
  EXPECT_EQ(info.kind, "Tiny");
  EXPECT_EQ(info.format_version, 1u);
  EXPECT_EQ(info.bytes, std::filesystem::file_size(dir / "m.etalage"));
  const auto scores = std::find_if(info.sections.begin(), info.sections.end(), [](const auto& s) { return s.name == "scores"; });
  ASSERT_NE(scores, info.sections.end());
  EXPECT_EQ(scores->dtype, "float32");
  EXPECT_EQ(scores->count, 5u);
  EXPECT_EQ(scores->bytes, 20u);
  EXPECT_EQ(scores->offset % 64, 0u);
}

TEST_F(Serialization, WhatIsNoFileIsNamed) {
  const TempDir dir;
  const auto code = [](const std::filesystem::path& p) {
    try {
      (void)load(p);
    } catch (const std::filesystem::filesystem_error& e) {
      return e.code().value();
    }
    return 0;
  };
  EXPECT_EQ(code(dir / "absent"), ENOENT);
  EXPECT_EQ(code(dir.path()), EISDIR);
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_NE(message_of([&] { (void)load(dir / "pipe"); }).find("expected a regular file"), std::string::npos);
  EXPECT_THROW(save(tiny_model(), dir / "pipe"), std::invalid_argument);
  EXPECT_THROW(save(tiny_model(), dir / "no/such/dir"), std::filesystem::filesystem_error);
  EXPECT_THROW(save(tiny_model(), dir.path()), std::filesystem::filesystem_error);
}

}  // namespace
}  // namespace etalage
