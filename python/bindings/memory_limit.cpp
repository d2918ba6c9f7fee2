// SPDX-License-Identifier: Apache-2.0
#include "memory_limit.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace etalage::python {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

std::optional<std::uint64_t> number_in(const std::string& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  if (in >> value) return value;  // "max" is none
  return std::nullopt;
}

/// The number behind a name, in a file of lines "name: 12 kB" or "name 12".
std::optional<std::uint64_t> number_of(const std::string& file, const std::string& name) {
  std::ifstream in(file);
  std::string word;
  while (in >> word) {
    std::uint64_t value = 0;
    if (word == name && in >> value) return value;
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

/// What the group's own pages of files take can be had back, so it counts as free.
std::uint64_t left_of(const std::string& limit, const std::string& used, const std::string& statistics, const std::string& files) {
  const auto most = number_in(limit);
  const auto now = number_in(used);
  if (!most || !now) return kUnlimited;
  const std::uint64_t held = *now - std::min(*now, number_of(statistics, files).value_or(0));
  return *most - std::min(*most, held);
}

}  // namespace

std::uint64_t available_memory() {
  std::uint64_t out = kUnlimited;
  if (const auto kilobytes = number_of("/proc/meminfo", "MemAvailable:")) out = *kilobytes * 1024;
  const std::string v1 = "/sys/fs/cgroup/memory/";
  out = std::min(out, left_of(v1 + "memory.limit_in_bytes", v1 + "memory.usage_in_bytes", v1 + "memory.stat", "total_inactive_file"));
  // A limit of any group above this one holds for it as well.
  std::string group;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.rfind("0::", 0) == 0) group = line.substr(3);
  while (true) {
    const std::string v2 = "/sys/fs/cgroup" + group + "/";
    out = std::min(out, left_of(v2 + "memory.max", v2 + "memory.current", v2 + "memory.stat", "inactive_file"));
    const std::size_t parent = group.rfind('/');
    if (parent == std::string::npos) return out;
    group.resize(parent);
  }
}

}  // namespace etalage::python
