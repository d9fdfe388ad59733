package dreambooth4j;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.type;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.nameMatching;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The rooms of the design, one a package, and the doors between them. */
class RoomsTest {
  private static final String ROOT = "dreambooth4j";
  private static final String[] ENGINE = {ROOT + ".engine..", ROOT + ".distributed.."};

  /** From top to bottom: a room may touch those below it. */
  private static final List<String> ROOMS =
      List.of(
          "cli",
          "report",
          "web",
          "page",
          "events",
          "evaluate",
          "verify",
          "train",
          "review",
          "prior",
          "pipeline",
          "data",
          "config",
          "diffusion",
          "model",
          "weights",
          "distributed",
          "engine",
          "random");

  /** Rooms that may touch fewer. */
  private static final Map<String, Set<String>> LESS =
      Map.of(
          "data", Set.of("config", "random"),
          "config", Set.of("diffusion"),
          "diffusion", Set.of("engine"),
          "model", Set.of("engine", "weights", "random"),
          "weights", Set.of("engine"),
          "distributed", Set.of("engine"),
          "engine", Set.of("random"));

  private static final JavaClasses ALL =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(ROOT);

  static Stream<String> rooms() {
    return ALL.stream()
        .map(JavaClass::getPackageName)
        .filter(name -> !name.equals(ROOT))
        .map(name -> name.substring(ROOT.length() + 1).replaceFirst("\\..*", ""))
        .distinct();
  }

  @ParameterizedTest
  @MethodSource("rooms")
  void shouldTouchOnlyTheRoomsBelow(String room) {
    assertThat(ROOMS).contains(room);
    Set<String> below =
        LESS.getOrDefault(room, Set.copyOf(ROOMS.subList(ROOMS.indexOf(room) + 1, ROOMS.size())));
    String[] allowed =
        Stream.concat(Stream.of(room), below.stream())
            .map(each -> ROOT + "." + each + "..")
            .toArray(String[]::new);
    classes()
        .that()
        .resideInAPackage(ROOT + "." + room + "..")
        .should()
        .onlyDependOnClassesThat(
            not(resideInAPackage(ROOT + ".."))
                .or(resideInAPackage(ROOT)) // Problem
                .or(resideInAnyPackage(allowed)))
        .check(ALL);
  }

  @Test
  void shouldHaveNoCycles() {
    slices().matching(ROOT + ".(**)").should().beFreeOfCycles().check(ALL);
  }

  /** Files that know one another, in a circle. There may be fewer of them, and no new ones. */
  private static final Map<String, List<Set<String>>> CIRCLES =
      Map.ofEntries(
          Map.entry(
              "config",
              List.of(
                  Set.of(
                      "AnchorConfig",
                      "CaptionConfig",
                      "ConceptConfig",
                      "Config",
                      "DataConfig",
                      "EmaConfig",
                      "EmbeddingConfig",
                      "LoraConfig",
                      "LossConfig",
                      "MemoryConfig",
                      "OptimizerConfig",
                      "SamplePromptFile",
                      "SamplesConfig"),
                  Set.of("ConfigReader", "KohyaKeys", "Sources"))),
          Map.entry("data", List.of(Set.of("AspectBuckets", "Buckets", "OwnSizeBuckets"))),
          Map.entry("distributed", List.of(Set.of("Absent", "ProcessGroups", "Ranks"))),
          Map.entry(
              "engine",
              List.of(
                  Set.of("Arena", "Tensor"),
                  Set.of("Parameter", "Parameters"),
                  Set.of("StateTensor", "TensorRule"),
                  Set.of("Optimizer", "OptimizerState"),
                  Set.of("Platform", "ProcessMemory"),
                  Set.of("Tape", "Var"))),
          Map.entry(
              "engine.kernel",
              List.of(Set.of("KernelSource", "Launch", "Launcher", "OptimizerKernels"))),
          Map.entry(
              "weights",
              List.of(
                  Set.of("ComponentFiles", "FolderFiles"),
                  Set.of("Export", "Group"),
                  Set.of(
                      "BaseKind",
                      "Family",
                      "FamilyConfigs",
                      "Fingerprint",
                      "FolderCopy",
                      "ModelFolder",
                      "ModelLookup",
                      "ModelOptions",
                      "ModelSource",
                      "ModelWriter",
                      "OriginalNames",
                      "SaidPrediction",
                      "SingleFile",
                      "TokenEmbedding"))));

  static Stream<String> packages() {
    return ALL.stream()
        .map(JavaClass::getPackageName)
        .filter(name -> !name.equals(ROOT))
        .distinct();
  }

  @ParameterizedTest
  @MethodSource("packages")
  void shouldHaveNoNewCyclesBetweenFiles(String name) {
    List<Set<String>> circles = CIRCLES.getOrDefault(name.substring(ROOT.length() + 1), List.of());
    slices().assignedFrom(new Files(name, circles)).should().beFreeOfCycles().check(ALL);
  }

  /**
   * A slice for each file of a package: its classes, nested ones and those without a name; files of
   * one of the circles are one slice.
   */
  private record Files(String room, List<Set<String>> circles) implements SliceAssignment {
    @Override
    public SliceIdentifier getIdentifierOf(JavaClass type) {
      if (!type.getPackageName().equals(room)) {
        return SliceIdentifier.ignore();
      }
      String file = type.getName().substring(room.length() + 1).replaceFirst("\\$.*", "");
      return circles.stream()
          .filter(circle -> circle.contains(file))
          .findFirst()
          .map(circle -> SliceIdentifier.of(circle.toString()))
          .orElse(SliceIdentifier.of(file));
    }

    @Override
    public String getDescription() {
      return "the files of " + room;
    }
  }

  @Test
  void shouldSpeakToLibtorchInTheEngineOnly() {
    noClasses()
        .that()
        .resideOutsideOfPackages(ENGINE)
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.bytedeco..")
        .check(ALL);
  }

  @Test
  void shouldKeepHandlesInTheEngine() {
    noClasses()
        .that()
        .resideOutsideOfPackages(ENGINE)
        .should()
        .callMethod(Tensor.class, "handle")
        .orShould()
        .callMethod(Var.class, "handle")
        .orShould()
        .dependOnClassesThat(belongToAnyOf(Native.class, Boxed.class))
        .check(ALL);
  }

  /** Java's own streams throw what nobody catches where a folder cannot be read to its end. */
  @Test
  void shouldListFoldersInOnePlaceOnly() {
    noClasses()
        .that()
        .doNotBelongToAnyOf(FolderEntries.class)
        .should()
        .callMethodWhere(
            target(owner(type(Files.class)))
                .and(target(nameMatching("list|walk|find|newDirectoryStream"))))
        .check(ALL);
  }

  @Test
  void shouldParseCommandLinesInOneRoomOnly() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + ".cli")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("picocli..")
        .check(ALL);
  }
}
