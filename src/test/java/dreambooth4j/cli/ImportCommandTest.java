package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.Crop;
import dreambooth4j.config.EmbeddingConfig;
import dreambooth4j.config.LoraConfig;
import dreambooth4j.config.LossConfig;
import dreambooth4j.config.LrScheduler;
import dreambooth4j.config.OptimizerName;
import dreambooth4j.data.TestPictures;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What other trainers are configured with becomes a configuration that trains. */
class ImportCommandTest {
  @TempDir private Path folder;

  private Path write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  private Ran ran(Path... files) {
    List<String> args = new ArrayList<>(List.of("import", "--base", folder.toString()));
    args.addAll(List.of("-o", yaml().toString()));
    for (Path file : files) {
      args.add(file.toString());
    }
    return Ran.of(args);
  }

  private Path yaml() {
    return folder.resolve("made.yaml");
  }

  private Config made(Path... files) {
    Ran ran = ran(files);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    return ConfigReader.read(yaml(), Map.of()).config();
  }

  private void paint(String name, String caption) throws IOException {
    for (int i = 0; i < 2; i++) {
      TestPictures.paint(folder.resolve(name), "p" + i, 32, 32, caption, i);
    }
  }

  @Test
  void shouldTurnACommandLineOfKohyaIntoARunThatTrains() throws IOException {
    paint("pictures/3_sks man", "sks man, hat");
    paint("class/1_man", "man");
    Path script =
        write(
            "train.sh",
            """
            #!/bin/bash
            # a LoRA
            MODEL="%s"
            accelerate launch --num_cpu_threads_per_process 1 train_network.py \\
              --pretrained_model_name_or_path=$MODEL \\
              --train_data_dir "pictures" --reg_data_dir class \\
              --output_dir out --output_name 'my lora' \\
              --caption_extension=.txt --resolution=32,32 --train_batch_size 2 \\
              --network_module=networks.lora --network_dim 2 --network_args "conv_dim=2" \\
              --unet_lr 1e-3 --text_encoder_lr 5e-4 --max_train_steps 3 --lr_warmup_steps 0.34 \\
              --optimizer_type AdamW8bit --optimizer_args weight_decay=0.1 betas=0.9,0.98 \\
              --xformers --flip_aug --scale_weight_norms 1 --wibble 3 --mixed_precision no
            """
                .formatted(TinyRun.MODEL.toAbsolutePath()));
    Ran ran = ran(script);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("kept          network_dim = 2  ->  lora_rank: 2\n")
        .contains("kept          max_train_steps = 3\n")
        .contains("converted     optimizer_type = AdamW8bit  ->  optimizer: 8bit AdamW\n")
        .contains("converted     train_batch_size = 2  ->  train_batch_size: 1\n")
        .contains("converted     lr_warmup_steps = 0.34  ->  lr_warmup_steps: 1\n")
        .contains("not needed    xformers = true  ->  memory use is chosen")
        .contains("not possible  scale_weight_norms = 1  ->  adapters are trained without it: a")
        .contains("unknown       wibble = 3  ->  no key of kohya's scripts that is known here")
        .contains("added         lora_alpha: 1  ->  the default of kohya's scripts\n");
    Config config = ConfigReader.read(yaml(), Map.of()).config();
    assertThat(config.output().outputDir()).isEqualTo(folder.resolve("out/my lora"));
    assertThat(config.lora().targets()).isEqualTo(LoraConfig.Targets.CONVOLUTIONS);
    assertThat(config.lora().alphaOf(2)).isEqualTo(1);
    // kohya averages both halves together: half of the loss, so half of its gradients' norm.
    assertThat(config.optimizer().maxGradNorm()).isEqualTo(2);
    assertThat(config.optimizer().adamBeta2()).isEqualTo(0.98);
    assertThat(config.optimizer().adamWeightDecay()).isEqualTo(0.1);
    assertThat(config.optimizer().textEncoderRateFactor()).isEqualTo(0.5);
    Ran trained = Ran.of("train", yaml().toString(), "--save_infer_steps=1");
    assertThat(trained.exitCode()).as(trained.err()).isZero();
    assertThat(folder.resolve("out/my lora")).isDirectoryContaining("glob:**.safetensors");
  }

  @Test
  void shouldTurnTomlOfATrainingAndItsDatasetIntoARunThatTrains() throws IOException {
    paint("sks", "sks, beach");
    paint("toy", "");
    paint("men", "man");
    Files.delete(folder.resolve("toy/p0.txt"));
    Files.delete(folder.resolve("toy/p1.txt"));
    Path training =
        write(
            "training.toml",
            """
            [model_arguments]
            pretrained_model_name_or_path = "%s"
            v2 = false
            [training_arguments]
            output_dir = "out"
            learning_rate = 1e-4
            max_train_epochs = 1
            max_train_steps = 4
            optimizer_type = "Lion"
            loss_type = "smooth_l1"
            sample_prompts = "prompts.txt"
            sample_every_n_epochs = 1
            stop_text_encoder_training = -1
            """
                .formatted(TinyRun.MODEL.toAbsolutePath()));
    write("prompts.txt", "# mine\nsks, sea --n ugly --w 64 --l 3.5 --s 2 --d 7\n");
    Path dataset =
        write(
            "dataset.toml",
            """
            [general]
            enable_bucket = false
            caption_extension = ".txt"
            shuffle_caption = true
            [[datasets]]
            resolution = 32
            batch_size = 2
              [[datasets.subsets]]
              image_dir = "sks"
              num_repeats = 2
              caption_prefix = "photo,"
              [[datasets.subsets]]
              image_dir = "toy"
              class_tokens = "zwx toy"
              random_crop = true
              keep_tokens = 2
              [[datasets.subsets]]
              image_dir = "men"
              is_reg = true
            """);
    Ran ran = ran(training, dataset);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("converted     subset 1: caption_prefix = photo,  ->  instance_prompt: photo, [")
        .contains("not possible  subset 2: keep_tokens = 2  ->  it holds for the whole run: its")
        .contains("converted     subset 3: image_dir = men  ->  class_data_dir: ")
        .containsPattern(
            "converted     sample_prompts = prompts.txt  ->  sample_prompts: .*prompts.txt, n_save_sample: 0,");
    Config config = ConfigReader.read(yaml(), Map.of()).config();
    assertThat(config.training().maxTrainSteps()).isNull();
    assertThat(config.training().numTrainEpochs()).isEqualTo(1);
    assertThat(config.training().trainBatchSize()).isEqualTo(1);
    assertThat(config.optimizer().name()).isEqualTo(OptimizerName.LION);
    assertThat(config.optimizer().adamWeightDecay()).isZero();
    assertThat(config.loss().type()).isEqualTo(LossConfig.Type.SMOOTH_L1);
    assertThat(config.concepts()).hasSize(2);
    assertThat(config.concepts().get(0).repeats()).isEqualTo(2);
    assertThat(config.concepts().get(0).instancePrompt()).isEqualTo("photo, [filewords]");
    assertThat(config.concepts().get(1).instancePrompt()).isEqualTo("zwx toy");
    assertThat(config.concepts().get(1).crop()).isEqualTo(Crop.RANDOM);
    assertThat(config.samples().prompts()).hasSize(1);
    assertThat(config.samples().prompts().get(0).guidance()).isEqualTo(3.5);
    Ran trained = Ran.of("train", yaml().toString());
    assertThat(trained.exitCode()).as(trained.err()).isZero();
    assertThat(trained.err()).contains("6/6"); // sks twice in an epoch, toy once
    assertThat(folder.resolve("out/last/unet")).isDirectory();
  }

  @Test
  void shouldTurnAPresetOfOneTrainerIntoARunThatTrains() throws IOException {
    paint("pictures", "sks");
    Path preset =
        write(
            "preset.json",
            """
            {
                "base_model_name": "%s",
                "training_method": "FINE_TUNE",
                "model_type": "STABLE_DIFFUSION_15",
                "batch_size": 2,
                "epochs": 2,
                "learning_rate_warmup_steps": 1,
                "learning_rate_scheduler": "COSINE_WITH_RESTARTS",
                "loss_weight_fn": "MIN_SNR_GAMMA",
                "loss_weight_strength": 4,
                "max_noising_strength": 0.8,
                "train_dtype": "FLOAT_32",
                "resolution": "32",
                "text_encoder": {"train": true, "stop_training_after": 1, "learning_rate": 1e-6},
                "optimizer": {"optimizer": "ADAMW_8BIT", "beta2": 0.99, "eps": 1e-7},
                "ema": "GPU",
                "output_model_destination": "models/sks.safetensors",
                "output_model_format": "DIFFUSERS",
                "masked_prior_preservation_weight": 0.5,
                "validation": false,
                "concepts": [
                  {"path": "pictures", "balancing": 2.0,
                   "image": {"enable_random_flip": true, "enable_random_hue": true},
                   "text": {"enable_tag_shuffling": true}},
                  {"path": "other", "enabled": false}
                ],
                "samples": [{"prompt": "sks", "diffusion_steps": 2, "noise_scheduler": "EULER_A"}]
            }
            """
                .formatted(TinyRun.MODEL.toAbsolutePath()));
    Ran ran = ran(preset);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains(
            "masked_prior_preservation_weight = 0.5  ->  its value changes nothing: it is for"
                + " LoRA")
        .contains("not needed    validation = false  ->  its value changes nothing")
        .contains("not possible  concept 1: concepts.image.enable_random_hue = true  ->  pictures")
        .contains("converted     concept 2: enabled = false  ->  it is left out");
    Config config = ConfigReader.read(yaml(), Map.of()).config();
    assertThat(config.training().stopTextEncoder()).isEqualTo(0.5);
    assertThat(config.optimizer().schedule().scheduler())
        .isEqualTo(LrScheduler.COSINE_WITH_SOFT_RESTARTS);
    assertThat(config.loss().snrGamma()).isEqualTo(4);
    assertThat(config.timesteps().end()).isEqualTo(800);
    assertThat(config.ema().decay()).isEqualTo(0.999);
    assertThat(config.concepts()).hasSize(1);
    Ran trained = Ran.of("train", yaml().toString());
    assertThat(trained.exitCode()).as(trained.err()).isZero();
    assertThat(folder.resolve("models/sks/unet")).isDirectory();
  }

  @Test
  void shouldTakeTheWordsThatKohyaAndOneTrainerTrain() throws IOException {
    Path script =
        write(
            "words.sh",
            """
            accelerate launch train_textual_inversion.py --pretrained_model_name_or_path=%s \\
              --train_data_dir pictures --output_dir out --token_string mycat --init_word cat \\
              --num_vectors_per_token 4 --learning_rate 5e-3 --max_train_steps 3"""
                .formatted(TinyRun.MODEL.toAbsolutePath()));
    Config ofKohya = made(script);
    EmbeddingConfig words = ofKohya.embedding();
    assertThat(words.words()).containsExactly("mycat");
    assertThat(words.vectors()).isEqualTo(4);
    assertThat(words.initializers()).containsExactly("cat");
    Files.delete(yaml());
    Files.writeString(script, " --weights old.pt", StandardOpenOption.APPEND);
    Ran going = ran(script);
    assertThat(going.exitCode()).as(going.err()).isZero();
    assertThat(going.err())
        .contains("converted     init_word = cat  ->  the file of weights has its own vectors, and")
        .contains("converted     num_vectors_per_token = 4  ->  the file of weights has its own");
    Config resumed = ConfigReader.read(yaml(), Map.of()).config();
    assertThat(resumed.embedding().weights()).isEqualTo(folder.resolve("old.pt"));
    assertThat(resumed.embedding().vectors()).isEqualTo(1);
    assertThat(ofKohya.training().trainUnet()).isFalse();
    assertThat(ofKohya.training().trainTextEncoder()).isFalse();

    Files.delete(yaml());
    Path preset =
        write(
            "preset.json",
            """
            {
              "training_method": "EMBEDDING", "base_model_name": "%s",
              "embedding": {"placeholder": "<cat>", "initial_embedding_text": "a cat",
                            "token_count": 3, "model_name": "", "train": true},
              "embedding_learning_rate": 0.001, "text_encoder": {"train": true},
              "preserve_embedding_norm": false,
              "concepts": [{"path": "pictures", "name": "cat"}]
            }
            """
                .formatted(TinyRun.MODEL.toAbsolutePath()));
    Config ofOneTrainer = made(preset);
    assertThat(ofOneTrainer.embedding())
        .isEqualTo(new EmbeddingConfig(List.of("<cat>"), List.of("a cat"), 3, 0.001, null));
    Files.delete(yaml());
    String goingOn =
        Files.readString(preset)
            .replace("\"token_count\": 3, \"model_name\": \"\"", "\"model_name\": \"old.pt\"")
            .replace("\"name\": \"cat\"", "\"text\": {\"prompt_source\": \"concept\"}");
    Ran ran = ran(write("going.json", goingOn));
    assertThat(ran.err())
        .contains(
            "initial_embedding_text = a cat  ->  the file of embedding.model_name has its own")
        .contains(
            "prompt_source = concept  ->  prompt_path names no file that has the prompt: set");
    Files.delete(yaml());
    ran = ran(write("count.json", Files.readString(preset).replace(": 3,", ": null,")));
    assertThat(ran.err()).contains("as initial_embedding_text has tokens: set num_vectors to that");
    assertThat(ofOneTrainer.training().trainUnet()).isFalse();
    assertThat(ofOneTrainer.training().trainTextEncoder()).isFalse();
  }

  /** kohya's script trains the text encoder where nobody says otherwise. */
  @Test
  void shouldLeaveOutWeightsOfCaptionsWhereTheTextEncoderTrains() throws IOException {
    paint("pictures", "sks, (hat:1.2)");
    String line =
        ("python train_db.py --pretrained_model_name_or_path=%s --train_data_dir=pictures"
                + " --output_dir=out --caption_extension=.txt --resolution=32 --max_train_steps=1"
                + " --weighted_captions")
            .formatted(TinyRun.MODEL.toAbsolutePath());
    Ran ran = ran(write("weighted.sh", line));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("not possible  weighted_captions = true  ->  brackets weigh words only while")
        .contains("or set train_text_encoder: false and weighted_captions: true");
    Ran trained = Ran.of("train", yaml().toString(), "--save_infer_steps=1");
    assertThat(trained.exitCode()).as(trained.err()).isZero();

    Files.delete(yaml());
    Config still = made(write("still.sh", line + " --stop_text_encoder_training=-1"));
    assertThat(still.data().captions().weighted()).isTrue();
    assertThat(still.training().trainTextEncoder()).isFalse();
  }

  @Test
  void shouldTakeTheKindsOfAdaptersThatLyCorisAndOneTrainerHave() throws IOException {
    paint("pictures", "sks");
    Path lycoris =
        write(
            "lycoris.sh",
            "python train_network.py --pretrained_model_name_or_path=m/n --train_data_dir=pictures"
                + " --resolution=64 --max_grad_norm=0.5 --network_module=lycoris.kohya"
                + " --network_dropout=0.1"
                + " --network_args algo=lokr factor=8 conv_alpha=2 conv_dim=4"
                + " --optimizer_type=Prodigy --unet_lr=1 --text_encoder_lr=0.5");
    Ran ran = ran(lycoris);
    assertThat(ran.err())
        .contains("conv_alpha: lora_alpha holds for all adapters")
        .contains("; the others are converted: lora_kind: lokr, lora_factor: 8, lora_targets: conv")
        .contains("not possible  lora_txt_learning_rate: 0.5  ->  Prodigy finds one learning rate");
    Files.delete(yaml());
    LoraConfig adapters = made(lycoris).lora();
    assertThat(adapters.kind()).isEqualTo(LoraConfig.Kind.LOKR);
    assertThat(adapters.dropout()).isEqualTo(0.1);
    assertThat(ConfigReader.read(yaml(), Map.of()).config().optimizer().maxGradNorm())
        .isEqualTo(0.5);
    Files.delete(yaml());
    Path preset =
        write(
            "loha.json",
            "{\"base_model_name\": \"m/n\", \"training_method\": \"LORA\", \"peft_type\": \"LOHA\","
                + " \"lora_rank\": 8, \"dropout_probability\": 0.2, \"masked_training\": true,"
                + " \"masked_prior_preservation_weight\": 0.3,"
                + " \"concepts\": [{\"path\": \"pictures\"}]}");
    Config whole = made(preset);
    assertThat(whole.loss().maskedPrior()).isEqualTo(0.3);
    LoraConfig ofOneTrainer = whole.lora();
    assertThat(ofOneTrainer.kind()).isEqualTo(LoraConfig.Kind.LOHA);
    assertThat(ofOneTrainer.dropout()).isEqualTo(0.2);
  }

  @Test
  void shouldSayWhatIsMissingAndWriteOverNothing() throws IOException {
    Path bare = write("bare.toml", "learning_rate = 1e-4\n");
    Ran ran = ran(bare);
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err())
        .contains("this configuration cannot be trained with yet:\n")
        .contains("instance_data_dir is missing");
    assertThat(yaml()).exists();
    assertThat(ran(bare).err()).contains("made.yaml is there already: choose another name");
    assertThat(ran(write("broken.toml", "a = \n")).err()).contains("broken.toml:1: no valid TOML");
    assertThat(ran(write("words.txt", "hello there")).err()).contains("is neither a TOML file");
    assertThat(ran(write("dif.sh", "accelerate launch train_dreambooth.py --seed 1")).err())
        .contains("is a command line of diffusers, which needs no import");
  }

  @Test
  void shouldPrintWhereNoFileIsNamed() throws IOException {
    paint("pictures", "sks");
    Path file =
        write(
            "c.txt",
            "python train_db.py --pretrained_model_name_or_path=m/n --train_data_dir=pictures"
                + " --resolution=512 --enable_bucket --seed=3");
    Ran ran = Ran.of("import", "--base", folder.toString(), file.toString());
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.out())
        .startsWith("# Made from c.txt by dreambooth import.\npretrained_model_name_or_path: m/n\n")
        .contains("\nbuckets: kohya\n", "\nseed: 3\n", "\ntrain_text_encoder: true\n");
    assertThat(made(file).data().resolution()).isEqualTo(512);
  }
}
