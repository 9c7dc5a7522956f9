#pragma once
// Precompiled: what nearly every test over sockets includes.
#include "probes/net/pch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
